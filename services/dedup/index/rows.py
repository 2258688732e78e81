"""Hashes and positions in the order of adding, in blocks that are scanned many rows at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.dedup.index.compiled import kernel
from services.dedup.index.lanes import BLOCK_ROWS

GONE = -1
"""Stands for the position of a row that was removed."""


class Rows:
    """``count`` rows of ``words`` 64-bit words each; those that are ``gone`` still have their place.

    Arrays grow to twice their size and are touched only as far as they are filled: what is not touched
    takes no memory.
    """

    def __init__(self, words: int) -> None:
        self.blocks: NDArray[np.uint64] = np.empty((1, words, BLOCK_ROWS), np.uint64)
        self.positions: NDArray[np.int64] = np.empty(BLOCK_ROWS, np.int64)
        self.count = 0
        self.gone = 0
        self._greatest = -1

    def append(self, positions: NDArray[np.int64], hashes: NDArray[np.uint64]) -> None:
        """Add rows, ``hashes`` of shape (n, words); a position that is there already is removed first."""
        if positions[0] <= self._greatest:
            self.remove(positions[positions <= self._greatest])
        self._reserve(self.count + len(positions))
        _append(self.blocks, self.positions, self.count, positions, hashes)
        self.count += len(positions)
        self._greatest = max(self._greatest, int(positions[-1]))

    def remove(self, positions: NDArray[np.int64]) -> None:
        """Mark rows as gone. ``positions`` ascend; those that are not there are ignored."""
        if len(positions):
            self.gone += _remove(self.positions[: self.count], positions)

    def compact(self) -> None:
        """Close the gaps of rows that are gone; the rest keep their order."""
        self.count = _compact(self.blocks, self.positions, self.count)
        self.gone = 0

    def _reserve(self, count: int) -> None:
        held = len(self.positions)
        if count <= held:
            return
        blocks = -(-max(count, 2 * held) // BLOCK_ROWS)
        used = -(-self.count // BLOCK_ROWS)
        grown = np.empty((blocks, *self.blocks.shape[1:]), np.uint64)
        grown[:used] = self.blocks[:used]
        self.blocks = grown
        positions = np.empty(blocks * BLOCK_ROWS, np.int64)
        positions[: self.count] = self.positions[: self.count]
        self.positions = positions


@kernel
def _append(
    blocks: NDArray[np.uint64],
    stored: NDArray[np.int64],
    count: int,
    positions: NDArray[np.int64],
    hashes: NDArray[np.uint64],
) -> None:
    for number in range(len(positions)):
        row = count + number
        stored[row] = positions[number]
        for word in range(hashes.shape[1]):
            blocks[row // BLOCK_ROWS, word, row % BLOCK_ROWS] = hashes[number, word]


@kernel
def _remove(stored: NDArray[np.int64], positions: NDArray[np.int64]) -> int:
    """One pass over all rows: removals are rare, and so are positions out of order."""
    removed, lowest, highest = 0, positions[0], positions[-1]
    for row in range(len(stored)):
        if lowest <= stored[row] <= highest:
            at = np.searchsorted(positions, stored[row])
            if positions[at] == stored[row]:
                stored[row] = GONE
                removed += 1
    return removed


@kernel
def _compact(blocks: NDArray[np.uint64], positions: NDArray[np.int64], count: int) -> int:
    kept = 0
    for row in range(count):
        if positions[row] == GONE:
            continue
        positions[kept] = positions[row]
        for word in range(blocks.shape[1]):
            blocks[kept // BLOCK_ROWS, word, kept % BLOCK_ROWS] = blocks[
                row // BLOCK_ROWS, word, row % BLOCK_ROWS
            ]
        kept += 1
    return kept
