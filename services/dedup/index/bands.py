"""Rows by the value of each band of their hash (multi-index hashing, Norouzi, Punjani and Fleet 2012)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.dedup.index.compiled import kernel
from services.dedup.index.lanes import BLOCK_ROWS


class Bands(NamedTuple):
    """For each band and value the rows that have it, in one array a band.

    Band ``b`` is bits ``shift`` to ``shift + width - 1`` of word ``b // per_word``, where ``shift`` is
    ``(b % per_word) * (64 // per_word)``.
    """

    per_word: int
    width: int
    starts: NDArray[np.uint32]
    """Shape (bands, 2 ** width + 1): where in ``rows`` each value begins."""
    rows: NDArray[np.uint32]
    """Shape (bands, capacity)."""
    marks: NDArray[np.uint32]
    """Beside ``rows`` the 32 bits above the band (from the top on at the bottom): of 64 bits most of what
    is no hit shows by them, without a look at the row, which stands anywhere. Shape (bands, 0) when
    hashes are longer: 32 bits say too little of them."""

    @classmethod
    def empty(cls, words: int, per_word: int, width: int) -> Bands:
        """Bands of an index without rows."""
        bands = words * per_word
        starts = np.zeros((bands, (1 << width) + 1), np.uint32)
        return cls(per_word, width, starts, np.empty((bands, 0), np.uint32), np.empty((bands, 0), np.uint32))

    def merged(self, blocks: NDArray[np.uint64], first: int, count: int) -> Bands:
        """With rows ``first`` to ``count - 1`` of ``blocks`` as well.

        The arrays are changed in place where they are large enough: memory does not double.
        """
        marked = blocks.shape[1] == 1
        rows, marks = self.rows, self.marks
        if count > rows.shape[1]:
            rows = _grown(rows, first, max(count, 2 * first))
            marks = _grown(marks, first, rows.shape[1]) if marked else marks
        merged = self._replace(rows=rows, marks=marks)
        fresh = np.empty(count - first if first else 0, np.uint32)
        fresh_marks = np.empty(len(fresh) if marked else 0, np.uint32)
        for band in range(len(rows)):
            word, part = divmod(band, self.per_word)
            shift = part * (64 // self.per_word)
            above = (shift + self.width) % 64
            # The first rows of all need no merging: they are sorted where they belong.
            target = (fresh, fresh_marks) if first else (rows[band], marks[band])
            before = _sort(blocks, word, shift, above, first, count, len(self.starts[band]), *target)
            if first:
                _shift(rows[band], first, blocks, word, shift, self.starts[band], before, fresh, fresh)
                if marked:
                    _shift(
                        marks[band], first, blocks, word, shift, self.starts[band], before, fresh, fresh_marks
                    )
            self.starts[band] += before
        return merged


def _grown(array: NDArray[np.uint32], used: int, capacity: int) -> NDArray[np.uint32]:
    grown = np.empty((len(array), capacity), np.uint32)
    grown[:, :used] = array[:, :used]
    return grown


@kernel
def mark_of(word: np.uint64, above: np.uint64) -> np.uint32:
    """32 bits from bit ``above`` of a word on, around its end."""
    return np.uint32((word >> above) | (word << ((np.uint64(64) - above) & np.uint64(63))))


@kernel
def _sort(
    blocks: NDArray[np.uint64],
    word: int,
    shift: int,
    above: int,
    first: int,
    count: int,
    ends: int,
    rows: NDArray[np.uint32],
    marks: NDArray[np.uint32],
) -> NDArray[np.uint32]:
    """Write the rows from ``first`` on by value; returns how many have a smaller one, for each value."""
    down, low_bits = np.uint64(shift), np.uint64(ends - 2)
    before = np.zeros(ends, np.uint32)
    for row in range(first, count):
        value = (blocks[row // BLOCK_ROWS, word, row % BLOCK_ROWS] >> down) & low_bits
        before[value + np.uint64(1)] += 1
    for step in range(ends - 1):
        before[step + 1] += before[step]
    place = before[:-1].copy()
    for row in range(first, count):
        whole = blocks[row // BLOCK_ROWS, word, row % BLOCK_ROWS]
        value = (whole >> down) & low_bits
        rows[place[value]] = row
        if len(marks):
            marks[place[value]] = mark_of(whole, np.uint64(above))
        place[value] += 1
    return before


@kernel
def _shift(
    array: NDArray[np.uint32],
    count: int,
    blocks: NDArray[np.uint64],
    word: int,
    shift: int,
    starts: NDArray[np.uint32],
    before: NDArray[np.uint32],
    fresh: NDArray[np.uint32],
    entries: NDArray[np.uint32],
) -> None:
    """Put the ``entries`` of the ``fresh`` rows behind those of their values, from the far end on.

    All old entries between two values that have new ones move by as much.
    """
    down, low_bits = np.uint64(shift), np.uint64(len(starts) - 2)
    rest, high = np.int64(count), np.int64(len(fresh))
    while high:
        row = fresh[high - 1]
        value = (blocks[row // BLOCK_ROWS, word, row % BLOCK_ROWS] >> down) & low_bits
        end, low = np.int64(starts[value + np.uint64(1)]), np.int64(before[value])
        for at in range(rest - 1, end - 1, -1):
            array[at + high] = array[at]
        for at in range(low, high):
            array[end + at] = entries[at]
        rest, high = end, low
