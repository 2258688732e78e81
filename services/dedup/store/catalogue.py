"""The index of the stored hashes, kept up with the fingerprint table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from services.dedup.domain.fingerprint import DETECTOR, HASH_BYTES
from services.dedup.index import HashIndex, HashLog, Hits, LogInUse
from services.dedup.store.images import IndexChange, changes_after, count_images, last_numbers
from services.runtime.logs import get_log

BITS = HASH_BYTES * 8
ROWS_PER_READ = 20_000


class Catalogue:
    """A cache of the fingerprint table in memory, and on disk for quick starts.

    It only ever learns rows that are committed, by their change numbers, whoever wrote them. Not
    thread-safe: one transaction at a time (``judging``).
    """

    def __init__(self, distance_bits: int) -> None:
        self.distance_bits = distance_bits
        self._log = get_log("dedup")
        self._file: HashLog | None = None
        self._forget()

    def open(self, connection: sa.Connection, folder: Path, library: str) -> None:
        """Start from the file in ``folder``, as far as it is that of this database (``library``)."""
        try:
            self._file, held = HashLog.open(folder, f"{DETECTOR} {library}", BITS)
        except (LogInUse, OSError) as error:
            self._log.warning("dedup.log-not-used", error=str(error), remedy="starts read all rows")
            self.catch_up(connection)
            return
        self._index.extend(held.positions, held.hashes)
        self._last_change = held.last_change
        self.catch_up(connection)
        stored = count_images(connection, hashed=True)
        # Ahead: the database was put back to an earlier state.
        if self._last_change > last_numbers(connection)[1] or len(self._index) != stored:
            self._log.warning("dedup.log-rebuilt", indexed=len(self._index), stored=stored)
            self._forget()
            self._file.clear()
            self.catch_up(connection)

    def catch_up(self, connection: sa.Connection) -> None:
        """Learn what was committed since; before the transaction writes anything itself."""
        while changes := changes_after(connection, self._last_change, ROWS_PER_READ):
            self._learn(changes)

    def near(self, hashes: NDArray[np.uint8], distance_bits: int) -> Hits:
        """All within the distance of each of ``hashes``, shape (n, 32)."""
        return self._index.near(hashes, distance_bits)

    def close(self) -> None:
        """Let another process use the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _forget(self) -> None:
        self._index = HashIndex(BITS, self.distance_bits)
        self._last_change = 0

    def _learn(self, changes: Sequence[IndexChange]) -> None:
        positions = np.array([item.position for item in changes], np.int64)
        removed = np.array([item.hash is None for item in changes])
        joined = b"".join(item.hash or bytes(HASH_BYTES) for item in changes)
        hashes = np.frombuffer(joined, np.uint8).reshape(-1, HASH_BYTES)
        self._index.remove(positions[removed])
        self._index.extend(positions[~removed], hashes[~removed])
        self._last_change = changes[-1].change
        if self._file is None or self._last_change <= self._file.last_change:
            return
        numbers = np.array([item.change for item in changes], np.int64)
        try:
            self._file.append(numbers, positions, hashes, removed)
        except OSError as error:
            # A gap must not stay: the next start reads from the table what is not in the file.
            self._log.warning("dedup.log-not-written", error=str(error), remedy="free the disk, restart")
            self.close()
