"""The confidence-threshold report (domain.md section 3): what a guest would have been told."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from services.evaluator.domain.answers import NO_CLASS, Answers, Ints
from services.evaluator.domain.metrics.intervals import Interval, wilson


@dataclass(frozen=True)
class ThresholdReport:
    """Counts over all images of a set. Above means at the threshold or over.

    Of an image that shows none of the model's classes every answer is wrong, so each one above
    is a false positive.
    """

    threshold_percent: float
    images: int
    errors: int
    true_positives_above: int
    false_positives_above: int
    above: int
    below: int
    confidence_min: float | None
    confidence_max: float | None
    confidence_mean: float | None
    confidence_median: float | None

    def share(self, count: int) -> float | None:
        """``count`` as a share of all images, 0..1."""
        return count / self.images if self.images else None

    @property
    def true_positives_interval(self) -> Interval | None:
        """Wilson's interval of the share of true positives above."""
        return wilson(self.true_positives_above, self.images)

    @property
    def false_positives_interval(self) -> Interval | None:
        """Wilson's interval of the share of false positives above."""
        return wilson(self.false_positives_above, self.images)


@dataclass(frozen=True)
class ClassThreshold:
    """One class at the threshold. ``images`` show it; ``index`` is NO_CLASS for those that show none.

    A wrong answer above is counted where the image is from (``false_positives_above``) and where the
    guest is sent to (``wrongly_named_above``: images of others that were called this class).
    """

    index: int
    images: int
    true_positives_above: int
    false_positives_above: int
    below: int
    wrongly_named_above: int

    @property
    def true_positives_interval(self) -> Interval | None:
        """Wilson's interval of the share of true positives above."""
        return wilson(self.true_positives_above, self.images)


def least_images(percent: float, of: int) -> int:
    """The fewest of so many images that are ``percent`` of them or more, for the number as it is written.

    In floating point 161 of 500 would fall short of 32.2 %.
    """
    return math.ceil(_exact(percent) * of)


def most_images(percent: float, of: int) -> int:
    """The most of so many images that are ``percent`` of them or fewer, as ``least_images``."""
    return math.floor(_exact(percent) * of)


def _exact(percent: float) -> Fraction:
    return Fraction(str(float(percent))) / 100


def report_threshold(answers: Answers, threshold_percent: float) -> ThresholdReport:
    """Count answers at ``threshold_percent`` (0..100) or over, right and wrong."""
    above = answers.confidence >= threshold_percent
    correct = answers.correct
    images = len(answers)
    confidence = answers.confidence
    lowest, highest = (float(confidence.min()), float(confidence.max())) if images else (None, None)
    return ThresholdReport(
        threshold_percent=threshold_percent,
        images=images,
        errors=images - int(correct.sum()),
        true_positives_above=int((above & correct).sum()),
        false_positives_above=int((above & ~correct).sum()),
        above=int(above.sum()),
        below=images - int(above.sum()),
        confidence_min=lowest,
        confidence_max=highest,
        # A mean of equal numbers may leave their range by a rounding.
        confidence_mean=float(np.clip(confidence.mean(), lowest, highest)) if images else None,
        confidence_median=float(np.median(confidence)) if images else None,
    )


def report_classes(answers: Answers, threshold_percent: float) -> tuple[ClassThreshold, ...]:
    """The classes that are shown, or wrongly answered at the threshold or over; NO_CLASS first."""
    if not len(answers):
        return ()
    above, correct = answers.confidence >= threshold_percent, answers.correct
    size = int(max(answers.truth.max(), answers.predicted.max())) + 2

    def per_class(of: Ints, mask: NDArray[np.bool_]) -> Ints:
        return np.bincount(of[mask] - NO_CLASS, minlength=size)

    images = per_class(answers.truth, np.ones(len(answers), np.bool_))
    true_above, false_above = (
        per_class(answers.truth, above & correct),
        per_class(answers.truth, above & ~correct),
    )
    named = per_class(answers.predicted, above & ~correct)
    return tuple(
        ClassThreshold(
            index=int(place) + NO_CLASS,
            images=int(images[place]),
            true_positives_above=int(true_above[place]),
            false_positives_above=int(false_above[place]),
            below=int(images[place] - true_above[place] - false_above[place]),
            wrongly_named_above=int(named[place]),
        )
        for place in np.flatnonzero(images + named)
    )
