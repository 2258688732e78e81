"""One arriving file: in memory while it is small, then on disk, never larger than the limit."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import NoReturn

SPOOL_BYTES = 256 * 1024  # 64 files of this size in memory are 16 MiB per request
FOLDER = "uploads"
"""Below the service's work_dir; what a killed process left there is removed at the next start."""


class FileTooLarge(Exception):
    """More bytes came than a file may have."""


class SpooledFile:
    """Feed it the bytes, then ``finish``; they are in ``data``, or past the spool's size in ``path``."""

    def __init__(self, file_name: str, limit_bytes: int, folder: Path) -> None:
        self.file_name = file_name
        self.data = bytearray()
        self.path: Path | None = None
        self.size = 0
        self.limit_bytes = limit_bytes
        self._folder = folder
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Of all that was fed."""
        return self._digest.hexdigest()

    def feed(self, piece: bytes) -> None:
        """Take the next bytes.

        Raises:
            FileTooLarge: with them the file is beyond its limit; they are not kept.
        """
        self.size += len(piece)
        if self.size > self.limit_bytes:
            self.refuse()
        self._digest.update(piece)
        self.data.extend(piece)
        if len(self.data) > SPOOL_BYTES:
            self._spill()

    def finish(self) -> None:
        """The file is complete."""
        if self.path is not None:
            self._spill()

    def refuse(self) -> NoReturn:
        """Say that it is too large.

        Raises:
            FileTooLarge: always.
        """
        raise FileTooLarge(
            f"file {self.file_name[:200]!r} is larger than {self.limit_bytes} bytes; leave it out"
        )

    def close(self) -> None:
        """Remove what lies on disk."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def _spill(self) -> None:
        if self.path is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._folder)
            self.path = Path(name)
            with os.fdopen(handle, "wb") as file:
                file.write(self.data)
        else:
            with self.path.open("ab") as file:
                file.write(self.data)
        self.data.clear()
