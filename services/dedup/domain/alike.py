"""What a distance between two fingerprints means (docs/duplicates.md, docs/decisions/0009).

The hash finds candidates. A closer look at the two sketches then decides: it tells copies from pictures
that only share a hash, whatever the orientation, which is why the hashes may lie far apart. Where a picture
is mostly background (line art, an empty sky) neither is evidence enough, and only very near hashes count.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from contracts.values import Orientation
from services.dedup.domain.fingerprint import ORIENTATIONS, Fingerprint
from services.dedup.domain.sketch import agreement


class Likeness(StrEnum):
    """What is done about two pictures, by what they look like alone."""

    AUTOMATIC = "automatic"
    REVIEW = "review"
    NONE = "none"


@dataclass(frozen=True)
class Limits:
    """Distances in bits of 256, all inclusive; agreements 0 to 1 (tests/benchmarks/calibrate_dedup.py)."""

    automatic_bits: int = 72
    """Farther than this nothing is a duplicate without asking."""
    review_bits: int = 80
    """With ``turned_*``: for pictures without a sketch, whose hashes are all there is."""
    turned_automatic_bits: int = 64
    """Seven more orientations are seven more chances for a false pair."""
    turned_review_bits: int = 72
    candidate_bits: int = 88
    """So far apart two pictures may lie that get a closer look. Each 4 bits more double or triple the
    candidates that have nothing in common: of a million photos 400 at 88 bits, 900 at 92, 2,200 at 96."""
    automatic_agreement: float = 0.9
    """Below it stand different moments before one fixed camera."""
    review_agreement: float = 0.5
    """Above it no two photos of different scenes were found."""
    low_detail: float = 0.45
    """Pictures with less than this besides their background get the strict limits that follow."""
    low_detail_automatic_bits: int = 24
    low_detail_review_bits: int = 36
    low_detail_turned_bits: int = 24
    """For review in other orientations, where nothing is automatic: a mirrored b is a d, a turned 6 a 9."""

    @property
    def search_bits(self) -> int:
        """The widest distance the index has to be asked for, over all orientations."""
        return max(self.candidate_bits, self.review_bits, self.turned_review_bits)

    def is_low(self, made: Fingerprint) -> bool:
        """Whether the picture is known to be mostly background."""
        return made.sketch is not None and made.detail < self.low_detail

    def reach_bits(self, made: Fingerprint) -> int:
        """The same for one picture: nothing farther is like it, whatever stands there."""
        if self.is_low(made):
            return max(self.low_detail_review_bits, self.low_detail_turned_bits)
        return self.search_bits


def likeness(
    one: Fingerprint, other: Fingerprint, distance_bits: int, orientation: Orientation, limits: Limits
) -> Likeness:
    """Whether two pictures are duplicates; the same from both sides.

    Args:
        one: the picture that was turned.
        other: the picture as it is.
        distance_bits: between their hashes in that orientation.
        orientation: how ``one`` was turned.
        limits: what distances mean.
    """
    upright = orientation is Orientation.SAME
    if distance_bits > limits.search_bits:
        return Likeness.NONE
    if not (limits.is_low(one) or limits.is_low(other)):
        if one.sketch is None or other.sketch is None:
            return _by_bits(
                distance_bits,
                limits.automatic_bits if upright else limits.turned_automatic_bits,
                limits.review_bits if upright else limits.turned_review_bits,
            )
        agreed = agreement(one.sketch, other.sketch, ORIENTATIONS.index(orientation))
        if agreed is not None:
            return _by_agreement(distance_bits, agreed, limits)
    if upright:
        return _by_bits(distance_bits, limits.low_detail_automatic_bits, limits.low_detail_review_bits)
    return Likeness.REVIEW if distance_bits <= limits.low_detail_turned_bits else Likeness.NONE


def _by_bits(distance_bits: int, automatic_bits: int, review_bits: int) -> Likeness:
    if distance_bits <= automatic_bits:
        return Likeness.AUTOMATIC
    return Likeness.REVIEW if distance_bits <= review_bits else Likeness.NONE


def _by_agreement(distance_bits: int, agreed: float, limits: Limits) -> Likeness:
    if agreed < limits.review_agreement:
        return Likeness.NONE
    sure = agreed >= limits.automatic_agreement and distance_bits <= limits.automatic_bits
    return Likeness.AUTOMATIC if sure else Likeness.REVIEW
