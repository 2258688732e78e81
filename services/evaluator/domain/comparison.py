"""What one model fixes and breaks of another's answers, image by image."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from contracts.values import Side

LEARNED_FROM = frozenset({Side.TRAIN.value, Side.VALIDATION.value})
"""A model's weights are made of the one, and chosen by the other."""
UNIT_COLUMNS = ("image_id", "group", "unit")
"""Two images that share one of these show the same moment, or the same picture."""

Row = Mapping[str, object]


class Change(StrEnum):
    """Model b against model a."""

    BOTH_RIGHT = "both-right"
    FIXED = "fixed"
    BROKEN = "broken"
    BOTH_WRONG = "both-wrong"


@dataclass(frozen=True)
class Answer:
    """What one model said of one image."""

    predicted: str
    confidence: float
    known: bool
    """Whether the image shows one of the model's classes."""


@dataclass(frozen=True)
class ComparedImage:
    """One image, with what both said; ``learned_by`` names the models (a, b) that learned from it."""

    image_id: str
    set_name: str
    truth: str | None
    a: Answer
    b: Answer
    learned_by: str

    @property
    def change(self) -> Change:
        """An answer is right when it names the truth, in whichever column the model has it."""
        right_a, right_b = self._right(self.a), self._right(self.b)
        if right_a == right_b:
            return Change.BOTH_RIGHT if right_a else Change.BOTH_WRONG
        return Change.FIXED if right_b else Change.BROKEN

    @property
    def somebodys(self) -> bool:
        """Whether it shows a class that one of the models knows."""
        return self.a.known or self.b.known

    @property
    def counted(self) -> bool:
        """Whether it counts in the figures."""
        return not self.learned_by and self.somebodys

    def _right(self, answer: Answer) -> bool:
        return answer.known and answer.predicted == self.truth


@dataclass(frozen=True)
class Tally:
    """Counts of a set of images."""

    both_right: int = 0
    fixed: int = 0
    broken: int = 0
    both_wrong: int = 0

    @property
    def images(self) -> int:
        """All of them."""
        return self.both_right + self.fixed + self.broken + self.both_wrong

    @property
    def accuracy_a(self) -> float | None:
        """Share that model a got right."""
        return (self.both_right + self.broken) / self.images if self.images else None

    @property
    def accuracy_b(self) -> float | None:
        """Share that model b got right."""
        return (self.both_right + self.fixed) / self.images if self.images else None

    @property
    def p_value(self) -> float:
        """Of McNemar's exact test."""
        return exact_mcnemar(self.fixed, self.broken)


def tally(images: Iterable[ComparedImage]) -> Tally:
    """Count the images that count."""
    found = Counter(image.change for image in images if image.counted)
    return Tally(
        found[Change.BOTH_RIGHT], found[Change.FIXED], found[Change.BROKEN], found[Change.BOTH_WRONG]
    )


def exact_mcnemar(fixed: int, broken: int) -> float:
    """Two-sided p: how likely a fair coin divides ``fixed + broken`` throws at least as unevenly.

    The binomial form of the test (McNemar 1947), from the largest term down: correct to 1e-9.
    """
    throws, fewer = fixed + broken, min(fixed, broken)
    if 2 * fewer == throws:
        return 1.0
    term = total = 1.0
    for number in range(fewer, 0, -1):
        term *= number / (throws - number + 1)
        total += term
    largest = math.lgamma(throws + 1) - math.lgamma(fewer + 1) - math.lgamma(throws - fewer + 1)
    return min(1.0, 2 * total * math.exp(largest - throws * math.log(2)))


def learned_units(rows: Iterable[Row]) -> frozenset[str]:
    """Image ids, groups and units of a data set that its model learned from."""
    return frozenset(name for row in rows if row["side"] in LEARNED_FROM for name in _names(row))


def learned_by(row: Row, a: frozenset[str], b: frozenset[str]) -> str:
    """``a``, ``b``, ``ab`` or nothing: which of the models learned from the image, or from its like."""
    own = _names(row)
    return ("a" if own & a else "") + ("b" if own & b else "")


def by_set(images: Sequence[ComparedImage]) -> dict[str, Tally]:
    """Counts of each set that has an image that counts, by name."""
    names = sorted({image.set_name for image in images if image.counted})
    return {name: tally(image for image in images if image.set_name == name) for name in names}


def by_class(images: Iterable[ComparedImage]) -> list[tuple[str, int, int]]:
    """Classes with a difference: name, fixed, broken; the largest difference first."""
    fixed: Counter[str] = Counter()
    broken: Counter[str] = Counter()
    for image in images:
        if image.counted and image.truth is not None:
            fixed[image.truth] += image.change is Change.FIXED
            broken[image.truth] += image.change is Change.BROKEN
    names = [name for name in fixed if fixed[name] or broken[name]]
    names.sort(key=lambda name: (-abs(fixed[name] - broken[name]), name))
    return [(name, fixed[name], broken[name]) for name in names]


def _names(row: Row) -> set[str]:
    """What tells that two images belong together, told apart by its column."""
    return {f"{name} {row[name]}" for name in UNIT_COLUMNS if row.get(name) is not None}
