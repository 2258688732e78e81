"""The confidence-threshold report (domain.md section 3): what a guest would have been told."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.evaluator.domain.answers import Answers


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
