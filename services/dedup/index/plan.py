"""Which bands to search, and how far around each: exact, and as cheap as it goes."""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SCAN_NS_PER_WORD = 0.25
"""Comparing one 64-bit word of a row that comes from memory."""
PROBE_NS, LONG_PROBE_NS = 20.0, 25.0
"""Looking up one value of a band, of hashes of one word and longer ones."""
CANDIDATE_NS, LONG_CANDIDATE_NS = 2.0, 12.0
"""Comparing a row found under a value; longer ones stand anywhere in memory (``Bands.marks``)."""
CROWDING = 2.0
"""Real hashes share values: measured 1.4 to 3.7 times as many rows under one as by chance."""
STARTS_BYTES_PER_WORD = 8
"""Most that each row may cost, a word of its hash, to note where the values of the bands begin."""
MAX_PROBES = 1 << 14
MAX_WIDTH = 24


class Probes(NamedTuple):
    """What to look up for a query: in band ``b`` its value changed by the first ``counts[b]`` masks.

    If a hash were farther than ``radii[b]`` from the query in every band ``b``, it would be at least
    ``sum(radius + 1) = distance + 1`` bits away: so whatever is within the distance is found in some band.
    """

    radii: NDArray[np.int64]
    """In bits; -1: this band need not be looked at."""
    counts: NDArray[np.int64]
    masks: NDArray[np.uint64]
    """By number of ones."""


class Layout(NamedTuple):
    """Each word of a hash is cut into ``per_word`` bands, of which the lower ``width`` bits are used."""

    per_word: int
    width: int


@lru_cache(maxsize=64)
def probes(layout: Layout, words: int, distance_bits: int) -> Probes | None:
    """How to find all hashes within the distance; ``None`` when that takes too many look-ups."""
    bands = layout.per_word * words
    radii = _radii(bands, distance_bits)
    if _look_ups(layout, bands, distance_bits) > MAX_PROBES:
        return None
    masks = [0]
    for ones in range(1, max(radii) + 1):
        masks += [sum(1 << bit for bit in bits) for bits in combinations(range(layout.width), ones)]
    counts = [sum(comb(layout.width, ones) for ones in range(radius + 1)) for radius in radii]
    return Probes(np.array(radii), np.array(counts), np.array(masks, np.uint64))


@lru_cache(maxsize=1024)
def best_layout(words: int, distance_bits: int, rows: int) -> Layout | None:
    """The cheapest bands for searches within the distance among so many rows; ``None``: scan them."""
    best, cheapest = None, scan_ns(words, rows)
    for per_word in range(1, 9):
        for width in range(8, min(64 // per_word, MAX_WIDTH) + 1):
            layout = Layout(per_word, width)
            if 4 * per_word << width <= STARTS_BYTES_PER_WORD * max(rows, 1 << 17):
                cost = probing_ns(layout, words, distance_bits, rows)
                if cost < cheapest:
                    best, cheapest = layout, cost
    return best


def scan_ns(words: int, rows: int) -> float:
    """Estimate for one query compared with all rows."""
    return rows * words * SCAN_NS_PER_WORD


def probing_ns(layout: Layout, words: int, distance_bits: int, rows: int) -> float:
    """Estimate for one query through bands."""
    look_ups = _look_ups(layout, layout.per_word * words, distance_bits)
    if look_ups > MAX_PROBES:
        return float("inf")
    candidates = CROWDING * rows / (1 << layout.width)
    if words == 1:
        return look_ups * (PROBE_NS + candidates * CANDIDATE_NS)
    return look_ups * (LONG_PROBE_NS + candidates * LONG_CANDIDATE_NS)


def _radii(bands: int, distance_bits: int) -> list[int]:
    each, over = divmod(distance_bits + 1, bands)
    return [each if band < over else each - 1 for band in range(bands)]


def _look_ups(layout: Layout, bands: int, distance_bits: int) -> int:
    return sum(
        comb(layout.width, ones)
        for radius in _radii(bands, distance_bits)
        for ones in range(min(radius, layout.width) + 1)
    )
