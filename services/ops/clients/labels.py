"""``labels.csv``: one row per picture, ``file,label`` and what else is known; further columns are ignored."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from contracts.values import LabelKind, Source
from services.ops.clients.errors import OpsError

FILE_NAME = "labels.csv"
LABEL_MAX_CHARACTERS = 200  # contracts.values.Label
GUEST_MAX_CHARACTERS = 200  # contracts.values.Guest
VISIT_MAX_CHARACTERS = 200  # contracts.values.Visit
TAG_MAX_CHARACTERS = 100  # contracts.values.Tag
TAGS_MAX = 50  # contracts.values.Tags
UPSTREAM_ID_MAX_CHARACTERS = 200  # contracts.values.UpstreamId
BENCHMARK_MAX_CHARACTERS = 100  # contracts.values.BenchmarkName
COLUMNS = "file,label[,label_kind,source,guest,visit,taken_at,tags,upstream_id,benchmark]"


@dataclass(frozen=True)
class LabelRow:
    """What the table says of one file; None where a cell is empty or the column is missing."""

    file: str
    label: str | None
    source: Source | None
    guest: str | None
    taken_at: datetime | None
    label_kind: LabelKind | None = None
    visit: str | None = None
    tags: tuple[str, ...] = ()
    upstream_id: str | None = None
    benchmark: str | None = None


class LabelTable:
    """Rows by file; a file is found by its path under the folder or, if only one has it, by its name."""

    def __init__(self, rows: list[LabelRow]) -> None:
        self._by_path = {row.file: row for row in rows}
        self._by_name: dict[str, LabelRow | None] = {}
        for row in rows:
            name = PurePosixPath(row.file).name
            self._by_name[name] = None if name in self._by_name else row

    def find(self, path: str) -> LabelRow | None:
        """The row of the file at ``path`` (relative to the folder, ``/`` between parts)."""
        exact = self._by_path.get(path)
        if exact is not None:
            return exact
        row = self._by_name.get(PurePosixPath(path).name)
        # A row that names a folder speaks of that folder only.
        return row if row is not None and "/" not in row.file else None

    def missing(self, paths: set[str]) -> list[str]:
        """Files the table names and the folder lacks."""
        names = {PurePosixPath(path).name for path in paths}
        return [file for file in self._by_path if file not in paths and ("/" in file or file not in names)]


def read_label_table(path: Path) -> LabelTable:
    """Read the table at ``path``.

    Raises:
        OpsError: no ``file`` column, or a cell that cannot be used; names the line and the cell.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise OpsError(f"{path} cannot be read ({error}): save it as UTF-8 text") from error
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""))
        columns = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
        if "file" not in columns:
            raise OpsError(f"{path} has no column 'file': its first line must be {COLUMNS}")
        rows = [_row(path, reader.line_num, _cells(columns, record)) for record in reader]
    except csv.Error as error:
        raise OpsError(f"{path} is not a CSV table ({error}): save it as UTF-8, comma separated") from error
    return LabelTable([row for row in rows if row.file])


def _cells(columns: Mapping[str, str | None], record: Mapping[str | None, object]) -> dict[str, str]:
    return {key: str(record.get(name) or "").strip() for key, name in columns.items()}


def _row(path: Path, line: int, cells: Mapping[str, str]) -> LabelRow:
    where = f"{path} line {line}"
    return LabelRow(
        file=cells["file"].replace("\\", "/").removeprefix("./"),
        label=checked_label(cells.get("label", ""), where),
        source=_source(cells.get("source", ""), where),
        guest=_limited(cells, "guest", GUEST_MAX_CHARACTERS, where),
        taken_at=_taken_at(cells.get("taken_at", ""), where),
        label_kind=_label_kind(cells.get("label_kind", ""), where),
        visit=_limited(cells, "visit", VISIT_MAX_CHARACTERS, where),
        tags=_tags(cells.get("tags", ""), where),
        upstream_id=_limited(cells, "upstream_id", UPSTREAM_ID_MAX_CHARACTERS, where),
        benchmark=_limited(cells, "benchmark", BENCHMARK_MAX_CHARACTERS, where),
    )


def tags_of(text: str) -> tuple[str, ...]:
    """Tags of one cell: a JSON list of texts, or texts with ``;`` between them.

    Raises:
        ValueError: it begins like a JSON list and is none of texts.
    """
    if text.lstrip().startswith("["):
        tags = json.loads(text)
        if not all(isinstance(tag, str) for tag in tags):
            raise ValueError(f"not all of {text[:60]!r} are texts")
        return tuple(tags)
    return tuple(tag.strip() for tag in text.split(";") if tag.strip())


def checked_label(text: str, where: str) -> str | None:
    """The label, None when ``text`` is blank.

    Raises:
        OpsError: it is longer than the library stores.
    """
    text = text.strip()
    if len(text) > LABEL_MAX_CHARACTERS:
        raise OpsError(
            f"{where}: label {text[:40]!r}... has {len(text)} characters: "
            f"shorten it to {LABEL_MAX_CHARACTERS}"
        )
    return text or None


def _source(text: str, where: str) -> Source | None:
    if not text:
        return None
    try:
        return Source(text.lower())
    except ValueError as error:
        names = ", ".join(source.value for source in Source)
        raise OpsError(f"{where}: source {text!r} is not known: use one of {names}") from error


def _label_kind(text: str, where: str) -> LabelKind | None:
    if not text:
        return None
    try:
        return LabelKind(text.lower())
    except ValueError as error:
        names = ", ".join(kind.value for kind in LabelKind)
        raise OpsError(f"{where}: label_kind {text!r} is not known: use one of {names}") from error


def _limited(cells: Mapping[str, str], name: str, limit: int, where: str) -> str | None:
    text = cells.get(name, "")
    if len(text) > limit:
        raise OpsError(f"{where}: {name} has {len(text)} characters: shorten it to {limit}")
    return text or None


def _tags(text: str, where: str) -> tuple[str, ...]:
    try:
        return checked_tags(tags_of(text), where)
    except (ValueError, RecursionError) as error:
        raise OpsError(
            f"{where}: tags {text[:60]!r} cannot be read: write them like dusk; north gate"
        ) from error


def checked_tags(tags: tuple[str, ...], where: str) -> tuple[str, ...]:
    """The tags as they are.

    Raises:
        OpsError: more or longer ones than the library stores.
    """
    if len(tags) > TAGS_MAX:
        raise OpsError(f"{where}: {len(tags)} tags are more than {TAGS_MAX}: leave some out")
    for tag in tags:
        if not 0 < len(tag.strip()) <= TAG_MAX_CHARACTERS:
            raise OpsError(
                f"{where}: tag {tag[:40]!r} has {len(tag)} characters: use 1 to {TAG_MAX_CHARACTERS}"
            )
    return tags


def _taken_at(text: str, where: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise OpsError(
            f"{where}: taken_at {text!r} is not a time: write it like 2026-07-08 17:53:02 +0200"
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
