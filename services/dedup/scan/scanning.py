"""Every file of a folder, read or remembered: one row each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.dedup.scan.bounded import Bounds
from services.dedup.scan.folder import Files
from services.dedup.scan.hashing import SKETCH_BYTES
from services.dedup.scan.memory import Memory
from services.dedup.scan.pool import NOTHING, Pool, Task
from services.dedup.scan.reading import (
    PIXELS,
    READING,
    SMALL,
    State,
    failed,
    no_pixels,
    no_small,
    pixels,
    reading,
    small,
)

KEPT_IN_MEMORY = (State.PICTURE, State.FLAT, State.OTHER)
"""A file that could not be read may be readable next time."""
TOLD_EVERY_S = 0.2


class Readings:
    """What was read, by number of the file; all columns have a row for each."""

    def __init__(self, files: int) -> None:
        self.state = np.zeros(files, np.uint8)
        self.width, self.height, self.sharpness = (np.zeros(files, np.uint32) for _ in range(3))
        self.background = np.zeros(files, np.uint16)
        self.sha256 = np.zeros((files, 32), np.uint8)
        self.turned = np.zeros((files, 8, 32), np.uint8)
        self.sketch = np.zeros((files, SKETCH_BYTES), np.uint8)
        self.reasons: dict[int, str] = {}
        self.digests: dict[int, bytes] = {}
        """Of the pixels at full size, where it was needed; empty when they could not be had."""
        self.remembered = 0

    def put(self, records: NDArray[np.void]) -> None:
        """Take records of reading, each at its number."""
        at = records["number"]
        for name in ("state", "width", "height", "sharpness", "background", "sha256", "sketch"):
            getattr(self, name)[at] = records[name]
        self.turned[at] = records["turned"].reshape(-1, 8, 32)
        for record in records[records["state"] == State.UNREADABLE]:
            self.reasons[int(record["number"])] = record["reason"].decode()


class Scanner(NamedTuple):
    """How the files of a folder are read; ``progress`` is told how many are done."""

    files: Files
    memory: Memory
    processes: int
    bounds: Bounds
    progress: Callable[[int], None]

    def read(self, meanwhile: Iterator[None]) -> Readings:
        """Every file; ``meanwhile`` is the caller's own work, done step by step beside it.

        Raises:
            PoolBroken: this machine cannot decode anything.
        """
        made = Readings(len(self.files.names))
        started_ns = time.time_ns()
        unknown = self._recalled(made)
        done = made.remembered
        for records in self._run(unknown, _reader(self.files), READING, meanwhile):
            made.put(records)
            kept = records[np.isin(records["state"], KEPT_IN_MEMORY)]
            self.memory.keep(
                ((self.files.keys[record["number"]], record.tobytes()) for record in kept), started_ns
            )
            done += len(records)
            self.progress(done)
        return made

    def read_pixels(self, made: Readings, numbers: Iterable[int]) -> None:
        """Digests of the pixels of some files, where they are not known yet."""
        unknown = [number for number in numbers if number not in made.digests]
        for records in self._run(unknown, _pixel_reader(self.files), PIXELS):
            good = records[records["state"] == State.PICTURE]
            found = {int(record["number"]): record["sha256"].tobytes() for record in good}
            made.digests |= {int(number): b"" for number in records["number"]} | found
            self.memory.keep_pixels((self.files.keys[number], digest) for number, digest in found.items())

    def thumbnails(self, numbers: Iterable[int]) -> dict[int, bytes]:
        """A small JPEG of each file that can be shown."""
        found = {}
        for records in self._run(sorted(numbers), _thumbnailer(self.files), SMALL):
            for record in records[records["size"] > 0]:
                found[int(record["number"])] = record["content"][: record["size"]].tobytes()
        return found

    def _recalled(self, made: Readings) -> list[int]:
        """Put what is remembered; the numbers of the other files."""
        unknown, known = [], bytearray()
        for number, remembered in enumerate(self.memory.recall(self.files.keys)):
            if remembered is None:
                unknown.append(number)
                continue
            record, digest = remembered
            known += number.to_bytes(4, "little") + record[4:]
            if digest is not None:
                made.digests[number] = digest
        made.put(np.frombuffer(bytes(known), READING))
        made.remembered = len(self.files.names) - len(unknown)
        return unknown

    def _run(
        self,
        numbers: list[int],
        task: Task,
        record: np.dtype[np.void],
        meanwhile: Iterator[None] = NOTHING,
    ) -> Iterator[NDArray[np.void]]:
        """Records of the numbers, some at a time."""
        parts: list[bytes] = []
        told = time.monotonic()
        for part in Pool(task, self.processes, self.bounds).run(numbers, meanwhile):
            parts.append(part)
            if time.monotonic() - told >= TOLD_EVERY_S:
                told = time.monotonic()
                yield np.frombuffer(b"".join(parts), record)
                parts.clear()
        yield np.frombuffer(b"".join(parts), record)


def _reader(files: Files) -> Task:
    return Task(
        lambda number: reading(number, files.path(number)),
        READING.itemsize,
        lambda number, reason: failed(number, State.UNREADABLE, reason),
    )


def _thumbnailer(files: Files) -> Task:
    return Task(
        lambda number: small(number, files.path(number)), SMALL.itemsize, lambda number, _: no_small(number)
    )


def _pixel_reader(files: Files) -> Task:
    return Task(
        lambda number: pixels(number, files.path(number)),
        PIXELS.itemsize,
        lambda number, _: no_pixels(number),
    )
