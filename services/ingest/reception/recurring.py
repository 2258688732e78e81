"""Work that is done again and again beside the messages."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import structlog

JITTER_SHARE = 0.1
"""So that replicas that start together do not list a bucket together for ever."""


class Recurring:
    """``work`` after each ``every_s`` seconds, 0 is never; a fault is logged, the next round tries again."""

    def __init__(
        self,
        name: str,
        every_s: float,
        work: Callable[[], Awaitable[None]],
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._name = name
        self._every_s = every_s
        self._work = work
        self._log = log
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin with a pause."""
        if self._every_s > 0:
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Break off whatever it does, and return when it has ended."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every_s * random.uniform(1 - JITTER_SHARE, 1 + JITTER_SHARE))  # noqa: S311
            try:
                await self._work()
            except Exception as error:  # noqa: BLE001 - a server is away; nobody else would hear of it
                self._log.warning("recurring.failed", work=self._name, error=repr(error))
