"""Finding rows by comparing with all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.dedup.index.compiled import kernel
from services.dedup.index.hits import Hits
from services.dedup.index.lanes import BLOCK_ROWS, LANES, bits_set, lowest_set, rows_within
from services.dedup.index.rows import GONE


@kernel
def distance(
    blocks: NDArray[np.uint64], row: int, queries: NDArray[np.uint64], query: int, limit: int
) -> Any:
    """Bits between a row and a query; counting stops above ``limit``."""
    block, lane = row // BLOCK_ROWS, row % BLOCK_ROWS
    apart = np.uint64(0)
    for word in range(queries.shape[1]):
        apart += bits_set(blocks[block, word, lane] ^ queries[query, word])
        if apart > limit:
            break
    return apart


@kernel
def scan(
    blocks: NDArray[np.uint64],
    positions: NDArray[np.int64],
    first: int,
    count: int,
    queries: NDArray[np.uint64],
    limit: int,
    found: int,
    hits: Hits,
) -> int:
    """Compare rows ``first`` to ``count - 1`` with all queries; returns how many are found by then.

    A block of rows is compared with every query before the next is read from memory. What is found is
    written to ``hits`` from entry ``found`` on, as far as there is room.
    """
    for block in range(first // BLOCK_ROWS, (count + BLOCK_ROWS - 1) // BLOCK_ROWS):
        start = max(first - block * BLOCK_ROWS, 0) // LANES * LANES
        for query in range(len(queries)):
            for lane in range(start, min(BLOCK_ROWS, count - block * BLOCK_ROWS), LANES):
                within = rows_within(blocks, block, lane, queries, query, np.uint64(limit))
                while within:
                    row = block * BLOCK_ROWS + lane + np.int64(lowest_set(within))
                    within &= within - np.uint64(1)
                    if first <= row < count and positions[row] != GONE:
                        if found < len(hits.query):
                            hits.query[found] = query
                            hits.position[found] = positions[row]
                            hits.distance[found] = distance(blocks, row, queries, query, limit)
                        found += 1
    return found
