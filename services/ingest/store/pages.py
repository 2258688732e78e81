"""Long lists of ids in pieces that a statement can carry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

PAGE_IDS = 1000
"""SQLite takes 32,766 parameters in one statement and PostgreSQL 65,535; the plan is as good at 1,000."""


def pages(ids: Iterable[str]) -> Iterator[list[str]]:
    """Each id once, sorted: transactions that lock in one order do not wait for each other in a circle."""
    ordered = iter(sorted(set(ids)))
    while page := list(islice(ordered, PAGE_IDS)):
        yield page
