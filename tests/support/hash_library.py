"""Hashes as libraries have them, the slow search that is certainly right, and an index that bands early."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from services.dedup.index import HashIndex, Hits
from services.dedup.index.plan import Layout

Hit = tuple[int, int, int]


class EagerIndex(HashIndex):
    """Sorts rows into bands of the given layout from a few rows on, as the real one does from thousands."""

    least_fresh_rows = 8

    def __init__(self, bits: int, distance_bits: int, layout: Layout | None) -> None:
        super().__init__(bits, distance_bits)
        self._forced = layout

    def _layout(self) -> Layout | None:
        return self._forced


def random_hashes(seed: int, count: int, bits: int) -> NDArray[np.uint8]:
    """Shape (count, bits // 8)."""
    return np.random.default_rng(seed).integers(0, 256, (count, bits // 8), np.uint8)


def clustered_hashes(
    seed: int, count: int, bits: int, *, apart_bits: int, centres: int = 5
) -> NDArray[np.uint8]:
    """Around a few centres, each with up to ``apart_bits`` bits changed: real libraries crowd so."""
    random = np.random.default_rng(seed)
    around = random.integers(0, 256, (centres, bits // 8), np.uint8)[random.integers(0, centres, count)]
    changed = random.random((count, bits)).argsort(axis=1) < random.integers(0, apart_bits + 1, (count, 1))
    return around ^ np.packbits(changed, axis=1)


def distances(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Bits between each of ``one`` and each of ``other``."""
    apart: NDArray[np.int64] = np.bitwise_count(one[:, None] ^ other[None]).sum(axis=2, dtype=np.int64)
    return apart


def near_by_force(
    stored: Mapping[int, NDArray[np.uint8]], queries: NDArray[np.uint8], distance_bits: int
) -> list[Hit]:
    """What ``HashIndex.near`` has to answer."""
    if not stored:
        return []
    positions = list(stored)
    apart = distances(queries, np.stack(list(stored.values())))
    found = [
        (int(query), int(apart[query, number]), positions[number])
        for query, number in np.argwhere(apart <= distance_bits)
    ]
    return [(query, position, bits) for query, bits, position in sorted(found)]


def pairs_by_force(stored: Mapping[int, NDArray[np.uint8]], distance_bits: int) -> list[Hit]:
    """What ``HashIndex.pairs`` has to answer, sorted."""
    positions = sorted(stored)
    if not positions:
        return []
    rows = np.stack([stored[position] for position in positions])
    apart = distances(rows, rows)
    return [
        (positions[one], positions[two], int(apart[one, two]))
        for one, two in np.argwhere(apart <= distance_bits).tolist()
        if one < two
    ]


def as_list(hits: Hits) -> list[Hit]:
    """Rows instead of columns."""
    return list(zip(*(column.tolist() for column in hits), strict=True))
