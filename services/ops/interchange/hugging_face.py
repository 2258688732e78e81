"""Hugging Face: ``metadata.jsonl`` beside its pictures (``load_dataset("imagefolder", data_dir=...)``).

Its ``file_name`` is the picture's path; what the uploader called the file is ``original_file_name``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from services.ops.clients.errors import OpsError
from services.ops.interchange.pictures import row_of
from services.ops.interchange.records import BadRow, Record, Row, cells_of, json_text

FILE = "metadata.jsonl"


def read(path: Path, title: str) -> Iterator[Row]:
    """The entries, in order; keys that are no columns of ours are left out.

    Raises:
        OpsError: the file cannot be read.
    """
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                where = f"{title} line {number}"
                if not line.strip():
                    continue
                try:
                    yield row_of(where, path.parent, _cells(line))
                except BadRow as problem:
                    yield Row(where, problem=str(problem))
    except OSError as error:
        raise OpsError(f"{path} cannot be read ({error.strerror}): check the path") from error


def _cells(line: bytes) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadRow(f"is not JSON ({error}): write one object a line") from error
    if not isinstance(entry, dict):
        raise BadRow("is not a JSON object: write one object a line")
    return {**entry, "file": entry.get("file_name"), "file_name": entry.get("original_file_name")}


def write(folder: Path, records: Sequence[Record]) -> None:
    """Write ``metadata.jsonl`` into ``folder``; every line has every key, so that columns have one type."""
    with (folder / FILE).open("w", encoding="utf-8", newline="") as sink:
        for record in records:
            cells = cells_of(record)
            name = cells.pop("file_name")
            entry = {"file_name": cells.pop("file"), **cells, "original_file_name": name}
            sink.write(f"{json_text(entry)}\n")
