"""What a format tells of one picture: the one neutral record, with the limits of the contracts."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from contracts.message import UtcDatetime
from contracts.values import (
    BenchmarkName,
    FileName,
    Guest,
    ImageId,
    Label,
    LabelKind,
    Source,
    Suggestion,
    Tags,
    UpstreamId,
    Value,
    Visit,
)
from services.ops.clients.labels import tags_of

COLUMNS = (
    "file", "image_id", "label", "label_kind", "source", "guest", "visit", "taken_at", "tags", "upstream_id",
    "benchmark", "file_name",
)  # fmt: skip
"""Columns of every table format, in order."""
TRIMMED = frozenset({"label", "benchmark", "label_kind", "source", "taken_at"})
"""Spaces alone say nothing here; in the others every character counts."""
NUMBERS_TOO = frozenset({"label", "guest", "visit", "upstream_id"})
"""Other tools write a name of digits as a number."""
SHOWN_CHARACTERS = 60


class BadRow(Exception):
    """One entry cannot be used; the rest of the source can."""


class Record(Value):
    """One picture; None where nothing is said. ``file`` is its path below the manifest's folder."""

    file: str | None = None
    image_id: ImageId | None = None
    label: Label | None = None
    label_kind: LabelKind | None = None
    source: Source | None = None
    guest: Guest | None = None
    visit: Visit | None = None
    taken_at: UtcDatetime | None = None
    tags: Tags = ()
    upstream_id: UpstreamId | None = None
    benchmark: BenchmarkName | None = None
    file_name: FileName | None = None
    suggestion: Suggestion | None = None
    """Goes out only: what a model said is never taken in."""


@dataclass(frozen=True)
class Row:
    """One entry of a source: a record with its picture, or the ``problem`` that makes it useless."""

    where: str
    """For a person: ``manifest.csv line 3``."""
    record: Record | None = None
    picture: Path | bytes | None = None
    problem: str | None = None
    suggestions: int = 0
    """What models said of it, which is not taken in."""


def record_of(cells: Mapping[str, Any]) -> Record:
    """The record of one entry's ``cells``; names that are no columns are left out.

    Raises:
        BadRow: a cell is beyond what the library stores; names the cell and its content.
    """
    tidy = {name: _tidy(name, cells.get(name)) for name in (*COLUMNS, "suggestion")}
    if tidy["label"] is None:
        tidy["label_kind"] = None
    try:
        return Record(**{name: value for name, value in tidy.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        problem = f"{place} {shown(first['input'])} cannot be used ({first['msg']})"
        raise BadRow(f"{problem}: correct it") from error


def shown(value: object) -> str:
    """A hostile value for a message, in one short line."""
    text = ascii(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."


def _tidy(name: str, value: Any) -> Any:
    if name in NUMBERS_TOO and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float) and math.isnan(value):  # how data frames write an empty cell
        return None
    if isinstance(value, str):
        return _tidy_text(name, value)
    if isinstance(value, datetime) and name == "taken_at":
        return _in_utc(value)
    if name == "taken_at" and value is not None:
        raise BadRow(f"taken_at {shown(value)} is not a time: write it like 2026-07-08 17:53:02 +0200")
    return value


def _tidy_text(name: str, text: str) -> Any:
    if not text or (name in TRIMMED and not text.strip()):
        return None
    if name in ("source", "label_kind"):
        return text.strip().lower()
    try:
        if name == "tags":
            return tags_of(text)
        return _in_utc(datetime.fromisoformat(text.strip())) if name == "taken_at" else text
    except (ValueError, RecursionError) as error:
        remedy = "a JSON list of texts" if name == "tags" else "a time like 2026-07-08 17:53:02 +0200"
        raise BadRow(f"{name} {shown(text)} cannot be read: write {remedy}") from error


def _in_utc(moment: datetime) -> datetime:
    """A time without a zone is taken as UTC."""
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError as error:
        raise BadRow(f"taken_at {moment.isoformat()} lies outside the years 1 to 9999 in UTC") from error


def cells_of(record: Record) -> dict[str, Any]:
    """The record as JSON takes it, one entry per column; ``tags`` is a list, times end in +00:00."""
    cells: dict[str, Any] = {name: getattr(record, name) for name in COLUMNS}
    cells["tags"] = list(record.tags)
    cells["taken_at"] = record.taken_at.isoformat() if record.taken_at else None
    for name in ("label_kind", "source"):
        cells[name] = cells[name].value if cells[name] else None
    return cells


def json_text(value: object) -> str:
    """One line of JSON that is the same for the same value, readable in any script."""
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
