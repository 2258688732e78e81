from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from services.runtime.child import ChildDied, ChildFailed, run_child

MODULE = "tests.support.child_work"


async def test_a_child_reports_progress_and_then_its_result() -> None:
    seen: list[dict[str, Any]] = []

    async def note(progress: dict[str, Any]) -> None:
        seen.append(progress)

    result = await run_child(MODULE, {"do": "count", "to": 3}, note)
    assert result == {"counted": 3}
    assert seen == [{"at": 1}, {"at": 2}, {"at": 3}]


async def test_what_libraries_print_is_not_taken_for_an_answer() -> None:
    assert await run_child(MODULE, {"do": "chatter"}) == {"ok": True}


async def test_a_refusal_carries_its_remedy() -> None:
    with pytest.raises(ChildFailed, match="too few") as refused:
        await run_child(MODULE, {"do": "refuse"})
    assert refused.value.remedy == "label more images"


async def test_a_killed_child_is_told_apart_from_a_refusal() -> None:
    with pytest.raises(ChildDied, match=r"code -9.*last words"):
        await run_child(MODULE, {"do": "die"})


async def test_an_exception_in_the_child_is_a_death_with_its_traceback() -> None:
    with pytest.raises(ChildDied, match="ZeroDivisionError"):
        await run_child(MODULE, {"do": "divide"})


async def test_settings_reach_the_child_by_environment() -> None:
    assert await run_child(MODULE, {"do": "environment"}, env={"MENAGERIE_X": "7"}) == {"x": "7"}


async def test_a_cancelled_call_leaves_no_child(tmp_path: Path) -> None:
    started: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def note(progress: dict[str, Any]) -> None:
        started.set_result(progress["pid"])

    call = asyncio.create_task(run_child(MODULE, {"do": "wait"}, note))
    pid = await asyncio.wait_for(started, 30)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert not psutil.pid_exists(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
async def test_a_child_dies_with_its_parent() -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.child_parent", stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout
    pid = int(await asyncio.wait_for(parent.stdout.readline(), 30))
    child = psutil.Process(pid)
    os.kill(parent.pid, signal.SIGKILL)
    await parent.wait()
    assert child.wait(timeout=30) is None or not child.is_running()
