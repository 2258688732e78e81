"""The index on disk: a file that only grows, so that a start need not read a million rows.

It is a cache of the fingerprint table and may be deleted at any time. Its first line names the format, the
length of a hash and the detector; a file of another kind is ignored and begun anew. Then frames
(index/frames.py), one an append: a torn or damaged frame ends the file at reading, and what stood behind
it comes from the table again.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from services.dedup.index.frames import MAX_RECORDS, frame, unframed

FILE_NAME = "hashes.log"
FORMAT = 1
ROOM_BYTES = 1 << 20
"""The file grows by zeros first: writing over them is synced 8 times as fast as growing with each append.
No frame begins with zeros (its checksum would be another), so they read as a torn one."""


class LogInUse(RuntimeError):
    """Another process writes this log."""


class Held(NamedTuple):
    """What a log held when it was opened."""

    positions: NDArray[np.int64]
    """Ascending, without those whose last record is a removal."""
    hashes: NDArray[np.uint8]
    """Shape (n, bits // 8)."""
    last_change: int
    """All rows of the table up to this change number are in; 0 in a new log."""


class HashLog:
    """The log in ``folder``, opened for appending. Use :meth:`open`."""

    def __init__(self, file: int, first_line: bytes, record: np.dtype[np.void], size: int, last: int) -> None:
        self._file = file
        self._first_line = first_line
        self._record = record
        self._size = size  # of what is known to be good
        self._room = size  # of the file
        self._last_change = last

    @classmethod
    def open(cls, folder: Path, detector: str, bits: int) -> tuple[HashLog, Held]:
        """The log and what it holds; a log of another detector, length or format is begun anew.

        Raises:
            LogInUse: another process has it open. That one goes on; this one can do without.
        """
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / FILE_NAME
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _claim(file, path)
            _sync_folder(folder)
            first_line = f"menagerie hashes {FORMAT} {bits} {detector!r}\n".encode()
            record = _record_type(bits)
            records, size = _read(path, first_line, record)
            last = int(records["change"][-1]) if len(records) else 0
            log = cls(file, first_line, record, size, last)
            if size:
                os.ftruncate(file, size)
            else:
                log.clear()
        except BaseException:
            os.close(file)
            raise
        return log, Held(*_latest(records), last)

    @property
    def last_change(self) -> int:
        """Change number of the newest record; 0 in an empty log."""
        return self._last_change

    def append(
        self,
        changes: NDArray[np.int64],
        positions: NDArray[np.int64],
        hashes: NDArray[np.uint8],
        removed: NDArray[np.bool_],
    ) -> None:
        """Note rows of the table, in the order of their change numbers; on disk when this returns.

        ``removed`` are rows that are not (any more) to be found, those without a hash among them;
        their ``hashes``, shape (n, bits // 8), are not looked at.

        Raises:
            ValueError: the change numbers do not go up from the last one.
            OSError: not written (a full disk); the log is as before, and this can be tried again.
        """
        if not len(changes):
            return
        if len(changes) > MAX_RECORDS:
            raise ValueError(f"{len(changes)} records are more than a frame holds: append them in parts")
        if np.any(np.diff(changes, prepend=self._last_change) <= 0):
            raise ValueError(
                f"Change numbers {changes[0]} to {changes[-1]} do not go up from {self._last_change}: "
                "sort the rows by change, and read those after last_change only"
            )
        records = np.zeros(len(changes), self._record)
        records["change"], records["position"], records["removed"] = changes, positions, removed
        records["hash"] = np.where(np.asarray(removed)[:, None], np.uint8(0), hashes)
        self._write(frame(records.tobytes(), len(records)))
        self._last_change = int(changes[-1])

    def clear(self) -> None:
        """Forget everything: the table is another one, or was put back to an earlier state."""
        os.ftruncate(self._file, 0)
        self._size, self._room, self._last_change = 0, 0, 0
        self._write(self._first_line)

    def close(self) -> None:
        """Let another process open the log."""
        os.ftruncate(self._file, self._size)
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, data: bytes) -> None:
        """Behind what is known to be good, so that what a failed write left is written over."""
        if self._size + len(data) > self._room:
            room = self._size + len(data) + ROOM_BYTES
            self._put(bytes(room - self._room), self._room)
            self._room = room
        self._put(data, self._size)
        os.fdatasync(self._file)
        self._size += len(data)

    def _put(self, data: bytes, at: int) -> None:
        rest = memoryview(data)
        while rest:
            written = os.pwrite(self._file, rest, at)
            rest, at = rest[written:], at + written


def _record_type(bits: int) -> np.dtype[np.void]:
    return np.dtype(
        [("change", "<i8"), ("position", "<i8"), ("removed", "?"), ("hash", np.uint8, (bits // 8,))]
    )


def _claim(file: int, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise LogInUse(f"{path} is in use by another process: give each its own work folder") from None


def _sync_folder(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _read(path: Path, first_line: bytes, record: np.dtype[np.void]) -> tuple[NDArray[np.void], int]:
    """All good records in the order of writing, and the size of the good part; 0 for another kind of file."""
    if path.stat().st_size < len(first_line):
        return np.empty(0, record), 0
    data = np.memmap(path, np.uint8, mode="r")
    if data[: len(first_line)].tobytes() != first_line:
        return np.empty(0, record), 0
    rows, end = unframed(data[len(first_line) :], record.itemsize)
    return rows.reshape(-1).view(record), len(first_line) + end


def _latest(records: NDArray[np.void]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Positions and hashes by position, the newest record of each, without the removed."""
    positions = records["position"].astype(np.int64)
    order = np.argsort(positions, kind="stable")
    newest = np.append(np.diff(positions[order]) != 0, True)[: len(order)]
    kept = order[newest]
    kept = kept[~records["removed"][kept]]
    return positions[kept], np.ascontiguousarray(records["hash"][kept])
