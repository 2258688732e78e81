"""The table of commonly confused pairs: classes that are hard to tell apart, and what mixing them up costs.

Subject-matter experts own it. Every change is a version, and a report names the version that it was made
with, so that an old figure can be computed again. A pair has no direction: African for Asian elephant costs
what Asian for African does. Unlisted pairs cost 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

FULL_COST = 1.0


class ConfusionRefused(Exception):
    """The change cannot be made; the sentence says why."""


@dataclass(frozen=True, order=True)
class ConfusedPair:
    """Two classes, by name in alphabetical order, and the cost of taking one for the other, 0..1."""

    one: str
    other: str
    weight: float


@dataclass(frozen=True)
class ConfusedChange:
    """Version ``version`` gave a pair ``weight``; None takes it off the table."""

    version: int
    one: str
    other: str
    weight: float | None


@dataclass(frozen=True)
class ConfusedPairs:
    """One version of the table, its pairs sorted by name; version 0 is empty."""

    version: int = 0
    pairs: tuple[ConfusedPair, ...] = ()

    def weight_of(self, one: str, other: str) -> float:
        """The cost of taking one class for the other; 1 unless the pair is listed."""
        key = pair_key(one, other)
        return next((pair.weight for pair in self.pairs if (pair.one, pair.other) == key), FULL_COST)

    def indexed(self, classes: Sequence[str]) -> dict[tuple[int, int], float]:
        """Weight by two class indices, in both directions; pairs of which a class is missing are left out."""
        index = {name: position for position, name in enumerate(classes)}
        found: dict[tuple[int, int], float] = {}
        for pair in self.pairs:
            if pair.one in index and pair.other in index:
                one, other = index[pair.one], index[pair.other]
                found[one, other] = found[other, one] = pair.weight
        return found

    def missing(self, classes: Iterable[str]) -> tuple[ConfusedPair, ...]:
        """Pairs that say nothing of these classes: one of the two was renamed, merged or is not trained."""
        known = set(classes)
        return tuple(pair for pair in self.pairs if not {pair.one, pair.other} <= known)

    def change(self, one: str, other: str, weight: float | None) -> ConfusedChange:
        """The next version's change.

        Raises:
            ConfusionRefused: it is no pair, no weight, or changes nothing.
        """
        first, second = pair_key(one, other)
        if first == second:
            raise ConfusionRefused(
                f"a pair is of two classes, and both are {one!r}: name the one it is taken for"
            )
        if weight is not None and not 0.0 <= weight <= FULL_COST:
            raise ConfusionRefused(
                f"weight {weight:g} of {first!r} and {second!r}: give a number from 0 (mixing them up costs "
                "nothing) to 1 (it costs as much as any other mistake)"
            )
        before = {(pair.one, pair.other): pair.weight for pair in self.pairs}.get((first, second))
        if before == weight:
            stands = "is not on the table" if before is None else f"has the weight {before:g} already"
            raise ConfusionRefused(f"the pair {first!r} and {second!r} {stands}; nothing was changed")
        return ConfusedChange(self.version + 1, first, second, weight)


def pair_key(one: str, other: str) -> tuple[str, str]:
    """The two names in the order in which a pair is kept."""
    return (one, other) if one <= other else (other, one)


def replayed(changes: Iterable[ConfusedChange]) -> ConfusedPairs:
    """The table after ``changes``, which are sorted by version."""
    version, weights = 0, dict[tuple[str, str], float]()
    for change in changes:
        version = change.version
        weights.pop((change.one, change.other), None)
        if change.weight is not None:
            weights[change.one, change.other] = change.weight
    pairs = sorted(ConfusedPair(*key, weight) for key, weight in weights.items())
    return ConfusedPairs(version, tuple(pairs))
