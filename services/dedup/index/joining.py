"""Finding all pairs of rows: value by value through the bands, or block by block."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.dedup.index.bands import Bands
from services.dedup.index.compiled import kernel
from services.dedup.index.hits import Hits
from services.dedup.index.lanes import BLOCK_ROWS, LANES, bits_set, lowest_set, rows_within
from services.dedup.index.rows import GONE


@kernel
def column_in_order(
    blocks: NDArray[np.uint64], rows: NDArray[np.uint32], word: int, column: NDArray[np.uint64]
) -> None:
    """One word of each row, in the order of a band: rows of one value side by side."""
    for number in range(len(column)):
        row = rows[number]
        column[number] = blocks[row // BLOCK_ROWS, word, row % BLOCK_ROWS]


@kernel
def join_band(
    blocks: NDArray[np.uint64],
    positions: NDArray[np.int64],
    bands: Bands,
    band: int,
    radii: NDArray[np.int64],
    masks: NDArray[np.uint64],
    column: NDArray[np.uint64],
    word: int,
    limit: int,
    at: NDArray[np.int64],
    hits: Hits,
) -> int:
    """Compare the rows of each value with those of the values near it; returns how many pairs are found.

    ``column`` holds ``word`` of each row in the band's order. Stops when there might be no room for the
    next row's pairs: ``at`` (value, number of mask, row) is where it goes on, value -1 when all is done.
    """
    starts, found = bands.starts[band], 0
    value, number, one = at[0], at[1], at[2]
    while value < len(starts) - 1:
        end = np.int64(starts[value + 1])
        while starts[value] < end and number < len(masks):
            other = np.int64(np.uint64(value) ^ masks[number])
            low, high = np.int64(starts[other]), np.int64(starts[other + 1])
            if other >= value and low < high:
                one = max(one, np.int64(starts[value]))
                while one < end:
                    if found + high - low > len(hits.query):
                        at[0], at[1], at[2] = value, number, one
                        return found
                    first = one + 1 if other == value else low
                    wanted = column[one]
                    for two in range(first, high):
                        if bits_set(column[two] ^ wanted) <= np.uint64(limit):
                            found = _pair(
                                blocks, positions, bands, band, radii, word, limit,
                                bands.rows[band, one], bands.rows[band, two], found, hits,
                            )  # fmt: skip
                    one += 1
            number, one = number + 1, 0
        value, number = value + 1, 0
    at[0] = -1
    return found


@kernel
def _pair(
    blocks: NDArray[np.uint64],
    positions: NDArray[np.int64],
    bands: Bands,
    band: int,
    radii: NDArray[np.int64],
    word: int,
    limit: int,
    one: int,
    two: int,
    found: int,
    hits: Hits,
) -> int:
    """Note a pair that is within the limit and that no earlier band leads to."""
    apart, words = np.uint64(0), blocks.shape[1]
    for step in range(words):
        at = (word + step) % words
        apart += bits_set(_word(blocks, one, at) ^ _word(blocks, two, at))
        if apart > np.uint64(limit):
            return found
    low_bits = np.uint64(bands.starts.shape[1] - 2)
    for earlier in range(band):
        at = earlier // bands.per_word
        shift = np.uint64(earlier % bands.per_word * (64 // bands.per_word))
        differing = ((_word(blocks, one, at) ^ _word(blocks, two, at)) >> shift) & low_bits
        if np.int64(bits_set(differing)) <= radii[earlier]:
            return found
    if positions[one] == GONE or positions[two] == GONE:
        return found
    hits.query[found] = min(positions[one], positions[two])
    hits.position[found] = max(positions[one], positions[two])
    hits.distance[found] = apart
    return found + 1


@kernel
def _word(blocks: NDArray[np.uint64], row: int, word: int) -> Any:
    return blocks[row // BLOCK_ROWS, word, row % BLOCK_ROWS]


@kernel
def join_blocks(
    blocks: NDArray[np.uint64],
    positions: NDArray[np.int64],
    count: int,
    limit: int,
    at: NDArray[np.int64],
    hits: Hits,
) -> int:
    """Compare all rows with all; returns how many pairs are found.

    Stops as ``join_band`` does: ``at`` is (block, other block, row of the first one), block -1 at the end.
    """
    words, found = blocks.shape[1], 0
    used = (count + BLOCK_ROWS - 1) // BLOCK_ROWS
    queries = np.empty((BLOCK_ROWS, words), np.uint64)
    block, other, first = at[0], at[1], at[2]
    while block < used:
        rows = min(BLOCK_ROWS, count - block * BLOCK_ROWS)
        for query in range(rows):
            for word in range(words):
                queries[query, word] = blocks[block, word, query]
        while other < used:
            others = min(BLOCK_ROWS, count - other * BLOCK_ROWS)
            for query in range(first, rows):
                if found + others > len(hits.query):
                    at[0], at[1], at[2] = block, other, query
                    return found
                one = positions[block * BLOCK_ROWS + query]
                begin = (query + 1) // LANES * LANES if other == block else 0
                for lane in range(begin, others, LANES):
                    within = rows_within(blocks, other, lane, queries, query, np.uint64(limit))
                    while within:
                        row = other * BLOCK_ROWS + lane + np.int64(lowest_set(within))
                        within &= within - np.uint64(1)
                        if row >= count or row <= block * BLOCK_ROWS + query:
                            continue
                        two = positions[row]
                        if one < 0 or two < 0:  # GONE
                            continue
                        apart = np.uint64(0)
                        for word in range(words):
                            apart += bits_set(_word(blocks, row, word) ^ queries[query, word])
                        hits.query[found], hits.position[found] = min(one, two), max(one, two)
                        hits.distance[found] = apart
                        found += 1
            other, first = other + 1, 0
        block += 1
        other = block
    at[0] = -1
    return found
