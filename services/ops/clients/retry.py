"""Trying again while a server is away, and polling until something is so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from services.ops.clients.errors import OpsError, Unreachable

T = TypeVar("T")

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 3.0
OUTAGE_S = 120.0
"""How long an outage is sat out: five times the slowest restart seen of the embedded S3 server (21 s)."""


async def persist(attempt: Callable[[], Awaitable[T]], *, patience_s: float = OUTAGE_S) -> T:
    """Run ``attempt`` until it does not raise ``Unreachable``; its last error after ``patience_s``."""
    give_up = time.monotonic() + patience_s
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            return await attempt()
        except Unreachable:
            if time.monotonic() + pause_s > give_up:
                raise
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)


async def poll(
    read: Callable[[], Awaitable[T | None]],
    *,
    what: str,
    timeout_s: float,
    every_s: float = 0.5,
    outage_s: float = OUTAGE_S,
) -> T:
    """The first answer of ``read`` that is not None; outages shorter than ``outage_s`` are sat out.

    Raises:
        OpsError: ``what`` did not happen within ``timeout_s``.
    """
    give_up = time.monotonic() + timeout_s
    while True:
        left_s = max(give_up - time.monotonic(), 0.0)
        found = await persist(read, patience_s=min(outage_s, left_s))
        if found is not None:
            return found
        if time.monotonic() + every_s > give_up:
            raise OpsError(
                f"{what} did not happen within {timeout_s:.0f} s: see `menagerie status` and "
                "`menagerie dead-letters list`, then ask again or wait longer with --timeout-s"
            )
        await asyncio.sleep(every_s)
