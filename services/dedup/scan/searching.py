"""Pairs of hashes that lie near enough for a closer look: all of them."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from services.dedup.domain.fingerprint import HASH_BYTES
from services.dedup.index import HashIndex, Hits
from services.dedup.scan.asked import TooManyPairs

Keys = NDArray[np.int64]
"""Pairs as ``one * n + other``, ``one`` the smaller place of n."""
MOST_PAIRS = 20_000_000
"""Half a gigabyte: a folder where everything looks like everything needs a smaller distance."""
LEAST_ROWS, PARTS = 4096, 8


class _Search:
    """Over the pictures of ``places``; those of ``turned``, shape (n, 8, 32), are all."""

    def __init__(self, turned: NDArray[np.uint8], places: NDArray[np.int64], bits: int) -> None:
        self._turned = turned
        self._places = places
        self._bits = bits

    def upright(self) -> list[Keys]:
        """Pairs as they stand."""
        hits = self._indexed(self._places).pairs(self._bits)
        return self._some((hit.query, hit.position) for hit in hits)

    def turned(self, start: int, end: int) -> list[Keys]:
        """Of the pictures ``start`` to ``end`` with all later ones, in the other orientations.

        The later ones ask with their turned hashes: who asks makes no difference (domain/turning.py).
        """
        index, later = self._indexed(self._places[start:end]), self._places[start:]
        return self._some(self._asked(index, part, slice(1, 8)) for part in _parts(later))

    def beside(self, asking: NDArray[np.int64], ways: slice) -> list[Keys]:
        """Of the pictures ``asking`` with all, in the orientations ``ways``."""
        index = self._indexed(self._places)
        return self._some(self._asked(index, part, ways) for part in _parts(asking))

    def _asked(
        self, index: HashIndex, asking: NDArray[np.int64], ways: slice
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        queries = self._turned[asking, ways]
        hits: Hits = index.near(np.ascontiguousarray(queries).reshape(-1, HASH_BYTES), self._bits)
        return asking[hits.query // queries.shape[1]], hits.position

    def _some(self, found: Iterable[tuple[NDArray[np.int64], NDArray[np.int64]]]) -> list[Keys]:
        """Keys without pictures paired with themselves, and no more than are good for anything."""
        keys, total = [], 0
        for asking, position in found:
            one, other = np.minimum(asking, position), np.maximum(asking, position)
            keys.append(np.unique((one * len(self._turned) + other)[one < other]))
            total += len(keys[-1])
            if total > MOST_PAIRS:
                break
        return keys

    def _indexed(self, places: NDArray[np.int64]) -> HashIndex:
        index = HashIndex(HASH_BYTES * 8, self._bits)
        index.extend(places, np.ascontiguousarray(self._turned[places, 0]))
        return index


def candidates(
    turned: NDArray[np.uint8], reach_bits: NDArray[np.int64], *, orientations: bool, threads: int
) -> NDArray[np.int64]:
    """Places (m, 2) of pictures that lie within the reach of both, in some orientation; in order, once each.

    A few that lie a little farther are among them. Pictures of small reach (line art, where thousands lie
    within the usual distance of each other) are searched with that.

    Raises:
        TooManyPairs: more than can be looked at.
    """
    if not len(turned):
        return np.empty((0, 2), np.int64)
    widest = int(reach_bits.max())
    (far,), (short,) = np.nonzero(reach_bits == widest), np.nonzero(reach_bits < widest)
    search = _Search(turned, far, widest)
    rows = max(LEAST_ROWS, -(-len(far) // PARTS))
    with ThreadPoolExecutor(threads) as pool:
        jobs = [pool.submit(search.upright)]
        if orientations:
            jobs += [pool.submit(search.turned, at, at + rows) for at in range(0, len(far), rows)]
        if len(short):
            all_of_them = _Search(turned, np.arange(len(turned)), int(reach_bits[short].max()))
            ways = slice(0, 8 if orientations else 1)
            jobs += [pool.submit(all_of_them.beside, part, ways) for part in np.array_split(short, threads)]
        keys = [part for job in jobs for part in job.result()]
    if sum(len(part) for part in keys) > MOST_PAIRS:
        raise TooManyPairs(
            f"more than {MOST_PAIRS:,} pairs of pictures lie within {widest} bits: give a smaller --distance"
        )
    return np.stack(np.divmod(np.unique(np.concatenate(keys)), len(turned)), axis=1)


def _parts(places: NDArray[np.int64]) -> Iterable[NDArray[np.int64]]:
    return (places[at : at + LEAST_ROWS] for at in range(0, len(places), LEAST_ROWS))
