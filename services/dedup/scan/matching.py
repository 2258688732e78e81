"""Which pictures of a folder are the same, or look alike: exact, and the same each time.

Pictures stand in the order of their worth: more pixels first, then the sharper, then the larger file, then by
name. The first of a group is the one that is suggested to be kept. Files of equal bytes are one picture here.
"""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contracts.values import Orientation
from services.dedup.domain.alike import Likeness, Limits, likeness
from services.dedup.domain.fingerprint import ORIENTATIONS, Fingerprint
from services.dedup.domain.turning import turned_distances
from services.dedup.scan.folder import Files
from services.dedup.scan.reading import State
from services.dedup.scan.scanning import Readings
from services.dedup.scan.searching import candidates

COMPARED_TOGETHER = 1_000


class Pair(NamedTuple):
    """Two pictures by their places in the order of worth, ``one`` before ``other``."""

    one: int
    other: int
    likeness: Likeness
    distance_bits: int
    orientation: Orientation
    """How ``one`` has to be turned to look like ``other``."""


class Order(NamedTuple):
    """The pictures of a folder, the worthiest first; each is the number of one of its files."""

    numbers: NDArray[np.int64]
    hashed: NDArray[np.int64]
    """Those of them that have a hash: all but the flat ones. The place of a picture is its row here."""
    copies: dict[int, list[int]]
    """Further files of equal bytes."""


def in_order(files: Files, made: Readings) -> Order:
    """All pictures that were read."""
    (numbers,) = np.nonzero(np.isin(made.state, (State.PICTURE, State.FLAT)))
    area = made.width[numbers].astype(np.int64) * made.height[numbers]
    size = np.array([files.keys[number].size for number in numbers.tolist()], np.int64)
    worth = numbers[np.lexsort((numbers, -size, -made.sharpness[numbers].astype(np.int64), -area))]
    first: dict[bytes, int] = {}
    copies: dict[int, list[int]] = defaultdict(list)
    for number in worth.tolist():
        kept = first.setdefault(made.sha256[number].tobytes(), number)
        if kept != number:
            copies[kept].append(number)
    distinct = np.fromiter(first.values(), np.int64, len(first))
    return Order(distinct, distinct[made.state[distinct] == State.PICTURE], copies)


class Prints:
    """Fingerprints by place, made when they are asked for."""

    def __init__(self, made: Readings, order: Order) -> None:
        self.turned = made.turned[order.hashed]
        self._sketch = made.sketch[order.hashed]
        self._background = made.background[order.hashed].tolist()
        self._made: dict[int, Fingerprint] = {}

    def __getitem__(self, place: int) -> Fingerprint:
        made = self._made.get(place)
        if made is None:
            sketch = self._sketch[place]
            detail = 1.0 - self._background[place] / sketch.size
            turned = self.turned[place]
            made = Fingerprint(turned[0].tobytes(), None, turned.tobytes(), detail, sketch.tobytes())
            self._made[place] = made
        return made

    def reach_bits(self, limits: Limits) -> NDArray[np.int64]:
        """How far apart another picture may lie to be like each: it is the same for all of one background."""
        by_background = {}
        for place, background in enumerate(self._background):
            if background not in by_background:
                by_background[background] = limits.reach_bits(self[place])
        return np.array([by_background[background] for background in self._background], np.int64)


def pairs(prints: Prints, limits: Limits, *, orientations: bool, threads: int) -> list[Pair]:
    """All pairs that look alike, by place.

    Raises:
        TooManyPairs: more than can be looked at.
    """
    reach = prints.reach_bits(limits)
    found = candidates(prints.turned, reach, orientations=orientations, threads=threads)
    parts = [found[start : start + COMPARED_TOGETHER] for start in range(0, len(found), COMPARED_TOGETHER)]

    def compared(part: NDArray[np.int64]) -> list[Pair]:
        return _compared(prints, part, reach, limits, orientations=orientations)

    with ThreadPoolExecutor(threads) as pool:
        return [pair for some in pool.map(compared, parts) for pair in some]


def _compared(
    prints: Prints, part: NDArray[np.int64], reach: NDArray[np.int64], limits: Limits, *, orientations: bool
) -> list[Pair]:
    one, other = part.T
    distances = turned_distances(prints.turned[one], prints.turned[other])
    within = distances <= np.minimum(reach[one], reach[other])[:, None]
    if not orientations:
        within[:, 1:] = False
    best: dict[int, Pair] = {}
    for row, number in np.argwhere(within).tolist():
        two, bits, orientation = part[row].tolist(), int(distances[row, number]), ORIENTATIONS[number]
        like = likeness(prints[two[0]], prints[two[1]], bits, orientation, limits)
        pair = Pair(two[0], two[1], like, bits, orientation)
        if like is not Likeness.NONE and (row not in best or _rank(pair) < _rank(best[row])):
            best[row] = pair
    return list(best.values())


def _rank(pair: Pair) -> tuple[bool, int]:
    """The orientation that says most; of equal ones the nearest, then the first."""
    return (pair.likeness is not Likeness.AUTOMATIC, pair.distance_bits)
