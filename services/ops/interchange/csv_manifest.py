"""CSV manifest: ``manifest.csv`` beside its pictures, one line each (RFC 4180, UTF-8)."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from services.ops.clients.errors import OpsError
from services.ops.interchange.pictures import row_of
from services.ops.interchange.records import COLUMNS, Record, Row, cells_of, json_text

FILE = "manifest.csv"


def read(path: Path, title: str) -> Iterator[Row]:
    """The table's rows, in order; a line that is no CSV is a problem of its own.

    Raises:
        OpsError: the table cannot be opened or has no ``file`` column.
    """
    try:
        # Bytes that are no UTF-8 come as lone surrogates, which the record refuses cell by cell.
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
            yield from _rows(csv.reader(lines), path, title)
    except OSError as error:
        raise OpsError(f"{path} cannot be read ({error.strerror}): check the path") from error


def _rows(reader: Any, path: Path, title: str) -> Iterator[Row]:
    names: list[str] | None = None
    while True:
        where = f"{title} line {reader.line_num + 1}"
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield Row(where, problem=f"is not CSV ({error}): save the table as UTF-8, comma separated")
            continue
        if cells is None:
            break
        if names is None:
            names = [name.strip().lower() for name in cells]
            if "file" not in names:
                raise OpsError(
                    f"{path} has no column 'file': its first line must name some of {','.join(COLUMNS)}"
                )
        elif any(cells):
            yield row_of(where, path.parent, dict(zip(names, cells, strict=False)))
    if names is None:
        raise OpsError(f"{path} is empty: its first line must name some of {','.join(COLUMNS)}")


def write(folder: Path, records: Sequence[Record]) -> None:
    """Write ``manifest.csv`` into ``folder``; ``tags`` is a JSON list in its cell."""
    # With \r\n as line end the writer quotes either character inside a cell.
    with (folder / FILE).open("w", encoding="utf-8", newline="") as sink:
        writer = csv.writer(sink, lineterminator="\r\n")
        writer.writerow(COLUMNS)
        for record in records:
            cells = cells_of(record)
            cells["tags"] = json_text(cells["tags"]) if cells["tags"] else None
            writer.writerow(["" if cells[name] is None else cells[name] for name in COLUMNS])
