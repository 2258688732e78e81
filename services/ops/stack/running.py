"""A stack in the foreground until a signal ends it, and ending one from elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable

import psutil

from services.ops.clients.errors import OpsError
from services.ops.stack.layout import Layout
from services.ops.stack.lock import is_held
from services.ops.stack.record import load_record
from services.ops.stack.spawn import stop_trees
from services.ops.stack.stack import ORPHAN_GRACE_S, Stack

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
DOWN_TIMEOUT_S = 45.0
"""Three times what a stop takes at most."""
POLL_S = 0.1


async def run_until_signal(
    stack: Stack, on_ready: Callable[[], None], on_stopping: Callable[[], None] = lambda: None
) -> None:
    """Start, say so, wait for SIGINT, SIGTERM or SIGHUP, stop; a second signal kills at once."""
    loop, asked = asyncio.get_running_loop(), asyncio.Event()
    hurry = asyncio.Event()

    def ask() -> None:
        (hurry if asked.is_set() else asked).set()

    for number in ENDING:
        loop.add_signal_handler(number, ask)
    waiting = asyncio.create_task(asked.wait())
    starting = asyncio.create_task(stack.start())
    try:
        await asyncio.wait([starting, waiting], return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            on_ready()
            await waiting
        on_stopping()
        await _stop(stack, starting, hurry)
    finally:
        waiting.cancel()
        for number in ENDING:
            loop.remove_signal_handler(number)


async def _stop(stack: Stack, starting: asyncio.Task[None], hurry: asyncio.Event) -> None:
    async def whole() -> None:
        if not starting.done():  # start() stops what it began
            starting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await starting
        await stack.stop()

    stopping, hurried = asyncio.create_task(whole()), asyncio.create_task(hurry.wait())
    await asyncio.wait([stopping, hurried], return_when=asyncio.FIRST_COMPLETED)
    if not stopping.done():
        await stack.stop(grace_s=0.0)
    hurried.cancel()
    await stopping


def stop_running(layout: Layout) -> bool:
    """End the stack of a data directory and wait; False when none ran.

    Raises:
        OpsError: it did not end in time.
    """
    record = load_record(layout)
    if record is None:
        return False
    supervisor = record.supervisor.find()
    if supervisor is None:
        # A supervisor that was killed may have left processes behind; a live one holds the lock.
        orphans = [found for one in record.processes.values() if (found := one.find())]
        if not is_held(layout):
            stop_trees(orphans, ORPHAN_GRACE_S)
        return bool(orphans)
    with contextlib.suppress(psutil.NoSuchProcess):
        supervisor.terminate()
    deadline = time.monotonic() + DOWN_TIMEOUT_S
    while supervisor.is_running() and is_held(layout):
        if time.monotonic() > deadline:
            raise OpsError(
                f"the stack in {layout.root} did not stop in {DOWN_TIMEOUT_S:g} s; "
                f"see {layout.log('supervisor')}: `kill -9 {supervisor.pid}`, then `menagerie down`, end it"
            )
        time.sleep(POLL_S)
    return True
