"""Readiness by real round trips to the broker, the store and the database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

Check = Callable[[], Awaitable[object]]

CHECK_TIMEOUT_S = 5.0
FRESH_S = 1.0
"""Answers are shared for so long, so that many askers do not become many round trips."""


class Health:
    """Named checks, run together; each answers ``ok`` or its error."""

    def __init__(self, checks: dict[str, Check]) -> None:
        self._checks = checks
        self._lock = asyncio.Lock()
        self._asked = float("-inf")
        self._answer: dict[str, str] = {}

    async def ready(self) -> dict[str, str]:
        """Check name -> ``ok`` or what is wrong."""
        async with self._lock:
            if time.monotonic() - self._asked > FRESH_S:
                names = list(self._checks)
                states = await asyncio.gather(*(self._ask(self._checks[name]) for name in names))
                self._answer = dict(zip(names, states, strict=True))
                self._asked = time.monotonic()
            return self._answer

    @staticmethod
    async def _ask(check: Check) -> str:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                await check()
        except TimeoutError:
            return f"no answer within {CHECK_TIMEOUT_S:g} s"
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return "ok"
