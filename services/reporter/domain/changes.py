"""What an event changes in the read model, as plain values that any order of arrival leaves equal.

A row is made of parts; each part is written by one kind of fact and carries a rank. The part
with the highest rank stays, so that applying changes is idempotent and commutative.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from pydantic import BaseModel

KEY_CHARS = 200
"""PostgreSQL refuses an index row over 2,704 bytes: three keys of 200 four-byte characters fit."""
WHOLE_LIMIT = 2**63


class Unprojectable(ValueError):
    """A well-formed event holds a value that no column can take."""


@dataclass(frozen=True)
class Part:
    """A group of columns of one table: ``key`` names the row, ``rank`` decides who wins."""

    name: str
    table: str
    key: tuple[str, ...]
    rank: tuple[str, ...] = ("event_seq",)


@dataclass(frozen=True)
class Change:
    """New values of one part of one row."""

    part: Part
    key: tuple[Any, ...]
    rank: tuple[int, ...]
    values: Mapping[str, Any]

    def row(self) -> dict[str, Any]:
        """Column name -> value, rank included."""
        ranks = dict(zip(self.part.rank, self.rank, strict=True))
        return dict(zip(self.part.key, self.key, strict=True)) | dict(self.values) | ranks


Folded = dict[Part, dict[tuple[Any, ...], Change]]


def change(part: Part, key: tuple[Any, ...], rank: tuple[int, ...], values: Mapping[str, Any]) -> Change:
    """A change with every value made storable.

    Raises:
        Unprojectable: a number, a date or a key is out of any column's range.
    """
    safe_key = tuple(_key(name, value) for name, value in zip(part.key, key, strict=True))
    safe = {name: plain(value, name) for name, value in values.items()}
    return Change(part, safe_key, tuple(plain(number, "rank") for number in rank), safe)


def fold(changes: Iterable[Change]) -> Folded:
    """Keep the highest rank per part and row: one statement never writes a row twice."""
    folded: Folded = {}
    for item in changes:
        rows = folded.setdefault(item.part, {})
        known = rows.get(item.key)
        if known is None or item.rank > known.rank:
            rows[item.key] = item
    return folded


def plain(value: Any, name: str) -> Any:
    """``value`` as both databases store it: UTC dates, finite numbers, text without NUL.

    Raises:
        Unprojectable: ``value`` of column ``name`` is out of range.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value.value if isinstance(value, Enum) else value)
    if isinstance(value, int):
        if not -WHOLE_LIMIT <= value < WHOLE_LIMIT:
            raise Unprojectable(f"{name} is {str(value)[:40]}, beyond a 64-bit number")
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return _utc(value, name)
    if isinstance(value, BaseModel):
        return plain(value.model_dump(mode="json"), name)
    if isinstance(value, Mapping):
        return {_text(str(key)): plain(item, name) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, name) for item in value]
    raise TypeError(f"{name}: no column stores a {type(value).__name__}")


def _key(name: str, value: Any) -> Any:
    if isinstance(value, str) and len(value) > KEY_CHARS:
        raise Unprojectable(f"{name} has {len(value)} characters, a key has at most {KEY_CHARS}")
    return plain(value, name)


def _text(value: str) -> str:
    # PostgreSQL text holds no NUL, UTF-8 no lone surrogate; the visible stand-ins keep the rest.
    shown = value.replace("\x00", "\N{SYMBOL FOR NULL}")
    return shown.encode("utf-8", "replace").decode("utf-8")


def _utc(value: datetime, name: str) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise Unprojectable(f"{name} is {value.isoformat()}, outside the calendar in UTC") from error
