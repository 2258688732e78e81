"""What a search answers with."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Hits(NamedTuple):
    """Three columns of equal length, one entry per hash found."""

    query: NDArray[np.int64]
    """Number of the query in its batch; in pairs the smaller position."""
    position: NDArray[np.int64]
    distance: NDArray[np.int32]
    """In bits."""

    @classmethod
    def room(cls, entries: int) -> Hits:
        """Columns to write to."""
        return cls(np.empty(entries, np.int64), np.empty(entries, np.int64), np.empty(entries, np.int32))

    def first(self, entries: int) -> Hits:
        """A copy of the first entries."""
        return Hits(
            self.query[:entries].copy(), self.position[:entries].copy(), self.distance[:entries].copy()
        )

    def ordered(self) -> Hits:
        """By query, distance and position."""
        order = np.lexsort((self.position, self.distance, self.query))
        return Hits(self.query[order], self.position[order], self.distance[order])
