"""How far a matrix is: a line for each time its rows were brought to disk, beside it.

A line is written after the rows it speaks of are on disk, so a line never speaks of rows that a power cut
took away. Whatever does not fit together makes the work begin anew: scoring again is right, only slower.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Header = Mapping[str, Any]


class Journal:
    """Append-only file of JSON lines: the header, then ``{"rows", "crc"}`` of all rows up to there."""

    def __init__(self, path: Path, header: Header) -> None:
        """``header`` says what the rows are of: a journal with another one is of other work."""
        self._path = path
        self._header = dict(header)

    def read(self) -> tuple[int, int]:
        """Rows that are on disk, and their checksum; (0, 0) of a journal that is damaged or of other work.

        The last line may lack its end, when the process was killed while writing it: it is left out.
        """
        try:
            lines = self._path.read_bytes().split(b"\n")[:-1]
            header, *entries = [json.loads(line) for line in lines]
            rows = [(int(entry["rows"]), int(entry["crc"])) for entry in entries]
        except (OSError, ValueError, KeyError, TypeError):
            return 0, 0
        counts = [count for count, _ in rows]
        if header != self._header or counts != sorted(set(counts)):
            return 0, 0
        return rows[-1] if rows else (0, 0)

    def begin(self, rows: int, crc: int) -> None:
        """Write the journal anew, of so many rows, whole or not at all."""
        lines = [self._header] + ([{"rows": rows, "crc": crc}] if rows else [])
        temporary = self._path.with_suffix(".new")
        with temporary.open("wb") as file:
            file.write(b"".join(_line(line) for line in lines))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
        sync_folder(self._path.parent)

    def add(self, rows: int, crc: int) -> None:
        """So many rows are on disk."""
        with self._path.open("ab") as file:
            file.write(_line({"rows": rows, "crc": crc}))
            file.flush()
            os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Bring the names in ``folder`` to disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _line(values: Header) -> bytes:
    return json.dumps(values, sort_keys=True).encode() + b"\n"
