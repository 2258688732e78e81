"""Upload ids: 48 bits of time and 80 random bits that only grow, so that ids sort as they were made."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 26
RANDOM_BITS = 80


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class UlidSource:
    """Monotonic ULIDs (github.com/ulid/spec): each call gives a greater text, whatever the clock does."""

    def __init__(
        self, now_ms: Callable[[], int] = _now_ms, random_bits: Callable[[int], int] = secrets.randbits
    ) -> None:
        self._now_ms = now_ms
        self._random_bits = random_bits
        self._last = 0

    def next(self) -> str:
        """The next id: 26 characters of Crockford's base 32."""
        # The top random bit stays free, so that counting up never overflows into the time.
        fresh = (self._now_ms() << RANDOM_BITS) | self._random_bits(RANDOM_BITS - 1)
        self._last = fresh if fresh >> RANDOM_BITS > self._last >> RANDOM_BITS else self._last + 1
        return _text(self._last)


def _text(value: int) -> str:
    digits = []
    for _ in range(LENGTH):
        value, rest = divmod(value, 32)
        digits.append(ALPHABET[rest])
    return "".join(reversed(digits))
