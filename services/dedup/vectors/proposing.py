"""What is done about pairs whose vectors are alike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from contracts.values import PairState
from services.dedup.domain.thresholds import Threshold, applying
from services.dedup.vectors.search import Alike

LEAST_REVIEWED = 20
"""Pairs that a file may bring people, however few its images are."""


@dataclass(frozen=True)
class Facts:
    """What else is known of a pair. ``class_name``: of both images, or None.

    ``settled``: hashes made the two one group of copies. ``burst``: photos of one moment, which look
    alike without being copies. ``plain``: line art or a flat picture, where looking alike says little.
    """

    class_name: str | None = None
    settled: bool = False
    burst: bool = False
    plain: bool = False


def proposed(
    found: Sequence[Alike],
    facts: Mapping[tuple[str, str], Facts],
    learnt: Sequence[Threshold],
    at_most: int | None = None,
) -> list[tuple[Alike, PairState]]:
    """The state that each pair of ``found`` is to have; pairs without facts, settled ones, those under
    their class's limit and, beyond the ``at_most`` most alike, those that need a person are left out.
    """
    states = []
    left = math.inf if at_most is None else at_most
    for pair in sorted(found, key=lambda pair: (-pair.similarity, pair)):
        known = facts.get(pair[:2])
        if known is None or known.settled:
            continue
        limits = applying(learnt, known.class_name)
        if pair.similarity < limits.review:
            continue
        if is_automatic(pair.similarity, known, limits):
            states.append((pair, PairState.AUTOMATIC))
        elif known.burst or left > 0:
            states.append((pair, PairState.REVIEW))
            left -= not known.burst
    return states


def is_automatic(similarity: float, known: Facts, limits: Threshold) -> bool:
    """Whether the pair needs no person. People were asked of neither bursts nor (surely) plain pictures."""
    return (
        limits.automatic is not None
        and similarity >= limits.automatic
        and not known.burst
        and not known.plain
    )


def reviewed_at_most(images: int, per_1000: int) -> int:
    """How many pairs a file of so many images may bring people."""
    return max(LEAST_REVIEWED, math.ceil(images * per_1000 / 1000))
