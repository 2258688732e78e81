"""Finding rows through the bands."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.dedup.index.bands import Bands, mark_of
from services.dedup.index.compiled import kernel
from services.dedup.index.hits import Hits
from services.dedup.index.lanes import BLOCK_ROWS, bits_set, fetch_early
from services.dedup.index.rows import GONE

CANDIDATES = 1024
"""Rows gathered before they are compared: what they need comes from memory meanwhile."""
AHEAD = 16
"""Candidates of which the row is asked for early."""


@kernel
def probe(
    blocks: NDArray[np.uint64],
    positions: NDArray[np.int64],
    bands: Bands,
    radii: NDArray[np.int64],
    counts: NDArray[np.int64],
    masks: NDArray[np.uint64],
    queries: NDArray[np.uint64],
    limit: int,
    hits: Hits,
) -> int:
    """Look all queries up in the bands; returns how many rows are found.

    They are written to ``hits`` as far as there is room. Memory is what takes the time,
    so each step asks for all that the next one needs before that begins.
    """
    low_bits = np.uint64(bands.starts.shape[1] - 2)
    spacing = 64 // bands.per_word
    marked = bands.marks.shape[1] > 0
    lows, highs = np.empty(len(masks), np.int64), np.empty(len(masks), np.int64)
    candidates = np.empty(CANDIDATES, np.int64)
    found = 0
    for query in range(len(queries)):
        for band in range(len(radii)):
            shift = np.uint64(band % bands.per_word * spacing)
            asked = queries[query, band // bands.per_word]
            value = (asked >> shift) & low_bits
            mark = mark_of(asked, (shift + np.uint64(bands.width)) & np.uint64(63))
            for number in range(counts[band]):
                near = value ^ masks[number]
                lows[number] = bands.starts[band, near]
                highs[number] = bands.starts[band, near + np.uint64(1)]
                if marked:
                    fetch_early(bands.marks, band * bands.marks.shape[1] + lows[number])
                else:
                    fetch_early(bands.rows, band * bands.rows.shape[1] + lows[number])
            gathered = 0
            for number in range(counts[band]):
                for at in range(lows[number], highs[number]):
                    if marked:
                        candidates[gathered] = at
                        gathered += bits_set(np.uint64(bands.marks[band, at] ^ mark)) <= np.uint64(limit)
                    else:
                        candidates[gathered] = bands.rows[band, at]
                        gathered += 1
                    if gathered == CANDIDATES:
                        found = _compare(
                            blocks, positions, bands, band, radii, queries, query, limit,
                            candidates, gathered, found, hits,
                        )  # fmt: skip
                        gathered = 0
            found = _compare(
                blocks, positions, bands, band, radii, queries, query, limit,
                candidates, gathered, found, hits,
            )  # fmt: skip
    return found


@kernel
def _compare(
    blocks: NDArray[np.uint64],
    positions: NDArray[np.int64],
    bands: Bands,
    band: int,
    radii: NDArray[np.int64],
    queries: NDArray[np.uint64],
    query: int,
    limit: int,
    candidates: NDArray[np.int64],
    gathered: int,
    found: int,
    hits: Hits,
) -> int:
    words = blocks.shape[1]
    marked = bands.marks.shape[1] > 0
    word = (band // bands.per_word + 1) % words  # of the band's own word less is unknown
    if marked:
        for number in range(gathered):
            candidates[number] = bands.rows[band, candidates[number]]
    for number in range(gathered):
        if number + AHEAD < gathered:
            row = candidates[number + AHEAD]
            fetch_early(blocks, (row // BLOCK_ROWS * words + word) * BLOCK_ROWS + row % BLOCK_ROWS)
        row = candidates[number]
        block, lane = row // BLOCK_ROWS, row % BLOCK_ROWS
        apart = np.uint64(0)
        for step in range(words):
            at = word + step if word + step < words else word + step - words
            apart += bits_set(blocks[block, at, lane] ^ queries[query, at])
            if apart > np.uint64(limit):
                break
        if apart > np.uint64(limit) or positions[row] == GONE:
            continue
        if found_before(blocks, row, queries, query, band, bands, radii):
            continue
        if found < len(hits.query):
            hits.query[found] = query
            hits.position[found] = positions[row]
            hits.distance[found] = apart
        found += 1
    return found


@kernel
def found_before(
    blocks: NDArray[np.uint64],
    row: int,
    queries: NDArray[np.uint64],
    query: int,
    band: int,
    bands: Bands,
    radii: NDArray[np.int64],
) -> bool:
    """Whether an earlier band leads to this row too: each is reported by the first band that does."""
    block, lane = row // BLOCK_ROWS, row % BLOCK_ROWS
    low_bits = np.uint64(bands.starts.shape[1] - 2)
    for earlier in range(band):
        word = earlier // bands.per_word
        shift = np.uint64(earlier % bands.per_word * (64 // bands.per_word))
        differing = ((blocks[block, word, lane] ^ queries[query, word]) >> shift) & low_bits
        if np.int64(bits_set(differing)) <= radii[earlier]:
            return True
    return False
