"""The index: exact whatever the distance."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from services.dedup.index.bands import Bands
from services.dedup.index.hits import Hits
from services.dedup.index.joining import column_in_order, join_band, join_blocks
from services.dedup.index.plan import Layout, Probes, best_layout, probes, probing_ns, scan_ns
from services.dedup.index.probing import probe
from services.dedup.index.rows import Rows
from services.dedup.index.scanning import scan

CHUNK_HITS = 1 << 16
"""Hits for which there is room in one go: 1.3 MB."""


class HashIndex:
    """Hashes of ``bits`` (a multiple of 64) by position, laid out for searches within ``distance_bits``.

    Rows that are new are scanned until there are so many that sorting them into the bands pays. Rows that
    were removed take room until they are a quarter. Not thread-safe.
    """

    least_fresh_rows = 4096

    def __init__(self, bits: int, distance_bits: int) -> None:
        if bits < 64 or bits % 64:
            raise ValueError(f"Hashes of {bits} bits cannot be indexed: take a multiple of 64")
        self._words = bits // 64
        self._distance_bits = distance_bits
        self._rows = Rows(self._words)
        self._bands: Bands | None = None
        self._banded = 0  # rows that are in the bands: the first ones
        self._planned = 0  # rows there were when the layout was chosen
        self._look_ups: dict[int, Probes | None] = {}
        self._room = Hits.room(CHUNK_HITS)

    def __len__(self) -> int:
        return self._rows.count - self._rows.gone

    def extend(self, positions: NDArray[np.int64], hashes: NDArray[np.uint8]) -> None:
        """Add hashes, shape (n, bits // 8); a position that is there already gets the new hash.

        Raises:
            ValueError: a negative position, or hashes of another length.
        """
        words = self._as_words(hashes)
        new = np.ascontiguousarray(positions, np.int64)
        if len(new) != len(words):
            raise ValueError(f"{len(new)} positions for {len(words)} hashes: give one for each")
        if not len(new):
            return
        if len(new) > 1 and np.any(new[1:] <= new[:-1]):
            new, last = np.unique(new[::-1], return_index=True)
            words = words[len(words) - 1 - last]
        if new[0] < 0:
            raise ValueError(f"Position {new[0]} is negative: count from 0")
        self._rows.append(new, words)
        self._settle()

    def remove(self, positions: NDArray[np.int64]) -> None:
        """Forget hashes; positions that are not there are ignored."""
        known = np.unique(np.asarray(positions, np.int64))
        rows = self._rows
        rows.remove(known[known >= 0])
        if rows.gone > max(self.least_fresh_rows, rows.count // 4):
            self._bands, self._banded, self._planned = None, 0, 0
            rows.compact()
            self._settle()

    def near(self, hashes: NDArray[np.uint8], distance_bits: int) -> Hits:
        """All hashes within the distance of each of ``hashes``, by query, distance and position."""
        queries = self._as_words(hashes)
        hits = self._room
        if distance_bits < 0:
            return hits.first(0)
        found = self._search(queries, distance_bits, hits)
        if found > len(hits.query):
            hits = Hits.room(found)
            self._search(queries, distance_bits, hits)
        hits = hits.first(found)
        return hits.ordered() if found > 1 else hits

    def pairs(self, distance_bits: int) -> Iterator[Hits]:
        """Every pair within the distance once, in chunks, ``query`` being the smaller position.

        The index must not change until the iterator is at its end.
        """
        if distance_bits < 0:
            return iter(())
        if self._bands is not None and self._banded < self._rows.count:
            self._merge(self._bands)
        if self._bands is not None and (look_up := self._look_up(self._bands, distance_bits)):
            return self._joined_bands(self._bands, look_up, distance_bits)
        return self._joined_blocks(distance_bits)

    def _search(self, queries: NDArray[np.uint64], distance_bits: int, hits: Hits) -> int:
        rows, bands, found, first = self._rows, self._bands, 0, 0
        if bands is not None and (look_up := self._look_up(bands, distance_bits)):
            found = probe(rows.blocks, rows.positions, bands, *look_up, queries, distance_bits, hits)
            first = self._banded
        return int(scan(rows.blocks, rows.positions, first, rows.count, queries, distance_bits, found, hits))

    def _look_up(self, bands: Bands, distance_bits: int) -> Probes | None:
        """What to look up in the bands; ``None`` where comparing with all rows is cheaper."""
        if distance_bits not in self._look_ups:
            layout = Layout(bands.per_word, bands.width)
            probing = probing_ns(layout, self._words, distance_bits, self._banded)
            pays = probing < scan_ns(self._words, self._banded)
            self._look_ups[distance_bits] = probes(layout, self._words, distance_bits) if pays else None
        return self._look_ups[distance_bits]

    def _settle(self) -> None:
        """Sort new rows into the bands when they are many."""
        rows = self._rows
        fresh = rows.count - self._banded
        bands = 4 * self._words if self._bands is None else len(self._bands.rows)
        if fresh < max(self.least_fresh_rows, 4 * sqrt(rows.count * bands / self._words)):
            return
        if rows.count >= 2 * self._planned:
            self._plan()
        if self._bands is not None:
            self._merge(self._bands)

    def _merge(self, bands: Bands) -> None:
        self._bands = bands.merged(self._rows.blocks, self._banded, self._rows.count)
        self._banded = self._rows.count
        self._look_ups.clear()

    def _plan(self) -> None:
        layout = self._layout()
        self._planned = self._rows.count
        if layout is None:
            self._bands, self._banded = None, 0
        elif self._bands is None or layout != (self._bands.per_word, self._bands.width):
            self._bands, self._banded = None, 0  # first, so that both are never in memory
            self._bands = Bands.empty(self._words, *layout)

    def _layout(self) -> Layout | None:
        return best_layout(self._words, self._distance_bits, self._rows.count)

    def _as_words(self, hashes: NDArray[np.uint8]) -> NDArray[np.uint64]:
        if hashes.ndim != 2 or hashes.shape[1] != 8 * self._words or hashes.dtype != np.uint8:
            raise ValueError(
                f"Hashes have shape {hashes.shape} and type {hashes.dtype}: "
                f"give (n, {8 * self._words}) bytes as uint8"
            )
        return np.ascontiguousarray(hashes).view(np.uint64)

    def _joined_bands(self, bands: Bands, look_up: Probes, distance_bits: int) -> Iterator[Hits]:
        rows = self._rows
        # A row is compared with the rows of one value at a time: all of them may be hits.
        hits = Hits.room(max(CHUNK_HITS, int(np.diff(bands.starts).max())))
        column = np.empty(rows.count, np.uint64)
        for band, masks in enumerate(look_up.counts.tolist()):
            word = (band // bands.per_word + 1) % self._words  # of the band's own word less is unknown
            column_in_order(rows.blocks, bands.rows[band], word, column)
            at = np.zeros(3, np.int64)
            while at[0] >= 0:
                found = join_band(
                    rows.blocks, rows.positions, bands, band, look_up.radii, look_up.masks[:masks],
                    column, word, distance_bits, at, hits,
                )  # fmt: skip
                if found:
                    yield hits.first(found)

    def _joined_blocks(self, distance_bits: int) -> Iterator[Hits]:
        rows = self._rows
        hits, at = Hits.room(CHUNK_HITS), np.zeros(3, np.int64)
        while at[0] >= 0:
            found = join_blocks(rows.blocks, rows.positions, rows.count, distance_bits, at, hits)
            if found:
                yield hits.first(found)
