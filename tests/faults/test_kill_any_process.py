"""``kill -9`` of any single process at a random moment of the demo changes no final count."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from contracts.subjects import SERVICES
from tests.support.demo_run import Demo, DemoResult, run_demo, until

pytestmark = pytest.mark.faults

SMALL = ("--limit-per-class", "60")
"""Of 60 digits 48 are labelled, more than the 40 that a class needs."""
SEED = os.environ.get("FAULT_SEED", "1")
"""Another seed tries other moments."""
LAST_MOMENT = 0.9
"""Of the undisturbed run's time behind the start; later the process may be stopping anyway."""

EARLIER = (1.0, 0.6, 0.3)
"""A busy machine may have slowed the undisturbed run alone: a run that was over in time is tried earlier."""


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> DemoResult:
    """The run that every other must equal."""
    done = run_demo(tmp_path_factory.mktemp("undisturbed") / "data", *SMALL)
    assert done.returncode == 0, done.progress[-4000:]
    return done


def killed_at(process: str, after_s: float, data_dir: Path) -> DemoResult | None:
    """A demo in which ``process`` was killed so long after the start; None when it was over by then."""
    data_dir.parent.mkdir()
    demo = Demo(data_dir, *SMALL)
    try:
        until(lambda: demo.pid_of(process) or demo.process.poll() is not None, timeout_s=240)
        moment = time.monotonic() + after_s
        until(lambda: time.monotonic() >= moment or demo.process.poll() is not None, timeout_s=after_s + 60)
        pid = demo.pid_of(process)
        if pid is None:
            return None
        os.kill(pid, signal.SIGKILL)
        return demo.finish()
    finally:
        demo.stop()


@pytest.mark.parametrize("process", ["nats", "s3", *SERVICES])
def test_the_final_counts_equal_an_undisturbed_runs(
    process: str, undisturbed: DemoResult, tmp_path: Path
) -> None:
    chance = random.Random(f"{SEED}-{process}")
    seconds = undisturbed.report["seconds"]
    after_s = chance.uniform(0, LAST_MOMENT) * (
        sum(seconds.values()) - seconds["pictures"] - seconds["start"]
    )
    for number, share in enumerate(EARLIER):
        moment_s = after_s * share
        done = killed_at(process, moment_s, tmp_path / str(number) / "data")
        if done is not None:
            break
    assert done is not None, f"{process} did not run {moment_s:.0f} s after the start"
    assert done.returncode == 0, f"{process} killed after {moment_s:.1f} s\n{done.progress[-4000:]}"
    assert done.counts == undisturbed.counts, f"{process} killed after {moment_s:.1f} s"
