"""Whether a confidence of 95 means right in 95 of 100: expected calibration error and its curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.evaluator.domain.answers import Answers
from services.evaluator.domain.metrics.intervals import Interval, wilson

BINS = 15
"""Bins of equal width, as in Guo et al., ICML 2017; scikit-learn's ``calibration_curve(n_bins=15)``."""


@dataclass(frozen=True)
class Bin:
    """Answers with ``above < score <= upto`` (0..1; the first bin has 0 as well), at least one."""

    above: float
    upto: float
    images: int
    correct: int
    confidence: float
    """Mean score of the answer, 0..1."""

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return self.correct / self.images

    @property
    def interval(self) -> Interval | None:
        """Wilson's interval of the accuracy."""
        return wilson(self.correct, self.images)


def reliability(known: Answers, bins: int = BINS) -> tuple[Bin, ...]:
    """The curve: one point per bin that has answers, lowest score first."""
    edges = np.linspace(0.0, 1.0, bins + 1)
    score = known.confidence / 100.0
    place = np.searchsorted(edges[1:-1], score)
    images = np.bincount(place, minlength=bins)
    correct = np.bincount(place[known.correct], minlength=bins)
    total = np.bincount(place, weights=score, minlength=bins)
    return tuple(
        Bin(
            float(edges[i]), float(edges[i + 1]), int(images[i]), int(correct[i]), float(total[i] / images[i])
        )
        for i in np.flatnonzero(images)
    )


def expected_calibration_error(curve: tuple[Bin, ...]) -> float:
    """Mean distance of confidence and accuracy over the images, 0..1; 0 is perfect."""
    images = sum(point.images for point in curve)
    return sum(point.images * abs(point.accuracy - point.confidence) for point in curve) / images
