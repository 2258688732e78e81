"""A dedup process on real servers, that dies of ``kill -9`` at a chosen point, if it is told to.

Usage: python -m tests.support.mortal_dedup [POINT COUNT], settings in the environment.

It dies when it reaches POINT for the COUNT-th time: ``search`` (in the middle of the transaction), ``commit``
(before it), ``publish`` (committed, nothing said), ``ack`` (all said, the messages not settled).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from services.dedup.app import create_app
from services.dedup.store.catalogue import Catalogue
from services.runtime.database import Unit
from services.runtime.logs import configure_logs
from services.runtime.outbox import OutboxRelay
from services.runtime.policy import DeliveryPolicy

POINTS: dict[str, tuple[type, str]] = {
    "search": (Catalogue, "near"),
    "commit": (Unit, "flush"),
    "publish": (OutboxRelay, "_publish"),
    "ack": (DeliveryPolicy, "_succeed"),
}


def die_at(point: str, count: int) -> None:
    """Once that point is reached so often; at a commit only those with something to say count."""
    owner, name = POINTS[point]
    original: Callable[..., Any] = getattr(owner, name)
    reached = 0

    def reach() -> None:
        nonlocal reached
        reached += 1
        if reached == count:
            os.kill(os.getpid(), signal.SIGKILL)

    def in_thread(self: Any, *arguments: Any) -> Any:
        done = original(self, *arguments)
        if done:
            reach()
        return done

    async def publishing(self: Any, *arguments: Any) -> Any:
        reach()
        return await original(self, *arguments)

    async def acknowledging(self: Any, *arguments: Any) -> Any:
        while await service.outbox.waiting():
            await asyncio.sleep(0.01)
        reach()
        return await original(self, *arguments)

    dying = {"publish": publishing, "ack": acknowledging}.get(point, in_thread)
    setattr(owner, name, dying)


async def main() -> None:
    """Listen until told to end."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await service.start()
    print("started", flush=True)
    await stop.wait()
    await service.stop()


if __name__ == "__main__":
    configure_logs("WARNING")
    service = create_app()
    if sys.argv[1:]:
        die_at(sys.argv[1], int(sys.argv[2]))
    asyncio.run(main())
