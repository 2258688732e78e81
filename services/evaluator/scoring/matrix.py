"""The score matrix: memory-mapped N x C, written in place, resumed from its journal."""

from __future__ import annotations

import mmap
import os
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.evaluator.scoring.journal import Journal, sync_folder

MATRIX_FILE, JOURNAL_FILE = "scores.npy", "scores.journal"
CHECKED_ROWS = 4096
"""Rows looked at together when the matrix is checked against its journal."""


class ScoreMatrix:
    """Row ``order[i]`` of the matrix is the i-th that is scored; ``done`` rows are, and are on disk."""

    def __init__(
        self, folder: Path, of: Mapping[str, Any], order: Sequence[int], columns: int, precision: str
    ) -> None:
        """``of`` names what is scored: a matrix of anything else is begun anew.

        Raises:
            OSError: there is no room on the disk for the whole matrix.
        """
        self.path = folder / MATRIX_FILE
        self._order = np.asarray(order, np.int64)
        self._dtype, shape = np.dtype(precision), (len(order), columns)
        header = {**of, "rows": shape[0], "columns": shape[1], "precision": precision}
        self._journal = Journal(folder / JOURNAL_FILE, header)
        self.done, self._crc = self._journal.read()
        if not self._fits(shape):
            self.done = self._crc = 0
            self._begin(shape)
        self._journal.begin(self.done, self._crc)
        self._scores: np.memmap[Any, Any] = np.lib.format.open_memmap(self.path, mode="r+")
        self._written = self.done

    def add(self, scores: NDArray[np.floating]) -> None:
        """The scores of the next rows in the order."""
        rows = np.ascontiguousarray(scores, self._dtype)
        self._scores[self._order[self._written : self._written + len(rows)]] = rows
        self._crc = zlib.crc32(rows.data, self._crc)
        self._written += len(rows)

    def keep(self) -> None:
        """Bring all rows so far to disk, and then the word that they are there."""
        if self._written == self.done:
            return
        self._scores.flush()
        self._journal.add(self._written, self._crc)
        self.done = self._written
        # On disk, they need not be in memory: the process stays small whatever the size of the matrix.
        mapped: object = self._scores.base
        if isinstance(mapped, mmap.mmap):
            mapped.madvise(mmap.MADV_DONTNEED)

    def _fits(self, shape: tuple[int, int]) -> bool:
        """Whether the file is the matrix that the journal speaks of, as far as it does."""
        if self.done <= 0:
            return False
        try:
            scores = np.load(self.path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return False
        if scores.shape != shape or scores.dtype != self._dtype or self.done > shape[0]:
            return False
        crc = 0
        for first in range(0, self.done, CHECKED_ROWS):
            rows = scores[self._order[first : min(first + CHECKED_ROWS, self.done)]]
            crc = zlib.crc32(np.ascontiguousarray(rows).data, crc)
        return crc == self._crc

    def _begin(self, shape: tuple[int, int]) -> None:
        self.path.unlink(missing_ok=True)
        made = np.lib.format.open_memmap(self.path, mode="w+", dtype=self._dtype, shape=shape)
        made.flush()
        del made
        with self.path.open("r+b") as file:
            # A page that finds no room when it is written would kill the process: all room is taken now.
            os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
            os.fsync(file.fileno())
        sync_folder(self.path.parent)
