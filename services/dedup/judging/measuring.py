"""Two images side by side: what their hashes say, and whether they belong together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contracts.values import Orientation, PairState
from services.dedup.domain.alike import Likeness, Limits, likeness
from services.dedup.domain.fingerprint import Fingerprint
from services.dedup.domain.groups import Tie
from services.dedup.domain.pairs import Proposal, Word
from services.dedup.domain.turning import ORIENTATIONS, as_turned, turned_distances, turned_hashes

PAIRS_TOGETHER = 50_000  # 8 turned hashes of two images each: 26 MB
Two = Sequence[Fingerprint]


class Measured(NamedTuple):
    """Two images side by side. ``orientation`` is that of the one whose id sorts first."""

    likeness: Likeness
    distance_bits: int | None
    orientation: Orientation


NOT_MEASURED = Measured(Likeness.NONE, None, Orientation.SAME)
_CLOSER = {Likeness.AUTOMATIC: 0, Likeness.REVIEW: 1, Likeness.NONE: 2}


def measure(pairs: Sequence[Two], limits: Limits) -> Iterator[Measured]:
    """Of each pair, in order; all have hashes."""
    for start in range(0, len(pairs), PAIRS_TOGETHER):
        part = pairs[start : start + PAIRS_TOGETHER]
        one, other = (as_turned([turned(pair[side]) for pair in part]) for side in (0, 1))
        for pair, distances in zip(part, turned_distances(one, other), strict=True):
            yield _compared(pair, distances, limits)


def turned(made: Fingerprint) -> bytes:
    """All 8 hashes of a picture that has one."""
    assert made.hash is not None
    return made.turned or turned_hashes(made.hash)


def tie_of(like: Likeness, word: Word | None, proposal: Proposal | None, *, burst: bool) -> Tie | None:
    """Why two images belong together; None when they do not."""
    if word is not None and word.duplicate:
        return Tie.PERSON
    said_apart = word is not None
    if not said_apart and like is Likeness.AUTOMATIC:
        return Tie.HASHES
    if not said_apart and proposal is not None and proposal.state is PairState.AUTOMATIC:
        return Tie.VECTORS
    # Photos of one moment stay together in a split even when a person wants to keep both.
    return Tie.BURST if burst and (like is not Likeness.NONE or proposal is not None) else None


def _compared(pair: Two, distances: NDArray[np.int32], limits: Limits) -> Measured:
    """The orientation that says most; of equal ones the nearest, then the first."""
    nearest = int(distances.argmin())
    best = Measured(Likeness.NONE, int(distances[nearest]), ORIENTATIONS[nearest])
    reach = min(limits.reach_bits(made) for made in pair)
    for number in np.nonzero(distances <= reach)[0].tolist():
        bits, orientation = int(distances[number]), ORIENTATIONS[number]
        found = Measured(likeness(pair[0], pair[1], bits, orientation, limits), bits, orientation)
        if (_CLOSER[found.likeness], bits) < (_CLOSER[best.likeness], best.distance_bits):
            best = found
    return best
