"""What a scan is asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from services.dedup.scan.bounded import Bounds

Progress = Callable[[dict[str, Any]], None]
"""Told ``stage``, ``done`` and ``total`` (None while it is not known)."""


class TooManyPairs(Exception):
    """Nothing can be made of so many; the message says what to do."""


class Scan(NamedTuple):
    """What is asked for."""

    folder: Path
    report: Path
    """Where the report (JSON) is written."""
    cache: Path | None
    distance_bits: int | None
    turned: bool
    processes: int
    shown: Path | None = None
    """Where pairs with small pictures are written (JSON), for people to look at."""
    shown_pairs: int = 0
    """At most so many."""
    bounds: Bounds = Bounds()
