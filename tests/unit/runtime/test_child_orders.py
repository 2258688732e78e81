from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from services.runtime.child import ChildDied, run_child
from services.runtime.orders import EXIT_LEFT_ALONE

MODULE = "tests.support.ordered_child"
PATIENCE_S = 60.0
Orders = asyncio.Queue[dict[str, Any]]


async def begun(orders: Orders) -> asyncio.Task[dict[str, Any]]:
    """A call whose child works."""
    lives = asyncio.Event()

    async def note(_progress: dict[str, Any]) -> None:
        lives.set()

    call = asyncio.create_task(run_child(MODULE, {}, note, orders=orders))
    await asyncio.wait_for(lives.wait(), PATIENCE_S)
    return call


async def test_a_child_hears_that_it_shall_stop_and_answers_all_the_same() -> None:
    orders: Orders = asyncio.Queue()
    call = await begun(orders)
    orders.put_nowait({"hold_s": PATIENCE_S})
    orders.put_nowait({"stop": "cancelled"})
    assert await asyncio.wait_for(call, PATIENCE_S) == {"stopped": "cancelled"}


async def test_what_a_child_hears_late_counts_from_when_it_was_said() -> None:
    orders: Orders = asyncio.Queue()
    call = await begun(orders)
    orders.put_nowait({"hold_s": PATIENCE_S, "at": time.monotonic() - PATIENCE_S})
    with pytest.raises(ChildDied, match=f"code {EXIT_LEFT_ALONE}"):
        await asyncio.wait_for(call, PATIENCE_S)


async def test_a_child_that_nobody_tells_to_go_on_ends_by_itself() -> None:
    orders: Orders = asyncio.Queue()
    call = await begun(orders)
    orders.put_nowait({"hold_s": 0.1})
    with pytest.raises(ChildDied, match=f"code {EXIT_LEFT_ALONE}"):
        await asyncio.wait_for(call, PATIENCE_S)
