"""How sure right and wrong answers are: a histogram whose last bin is what lies above the usual threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.evaluator.domain.answers import Answers

BIN_PERCENT = 5


@dataclass(frozen=True)
class ConfidenceBin:
    """Answers with ``start <= confidence < upto`` (0..100; the last bin has 100 as well)."""

    start: float
    upto: float
    right: int
    wrong: int


def confidence_bins(answers: Answers) -> tuple[ConfidenceBin, ...]:
    """All bins, lowest first; an image of none of the classes is answered wrongly."""
    edges = np.arange(0, 101, BIN_PERCENT)
    right, _ = np.histogram(answers.confidence[answers.correct], edges)
    wrong, _ = np.histogram(answers.confidence[~answers.correct], edges)
    return tuple(
        ConfidenceBin(float(edges[at]), float(edges[at + 1]), int(right[at]), int(wrong[at]))
        for at in range(len(edges) - 1)
    )
