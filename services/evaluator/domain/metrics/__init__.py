"""Figures of one set, equal to scikit-learn's where it has them (tested to 1e-9)."""

from services.evaluator.domain.metrics.counts import (
    Cell,
    ClassFigures,
    most_confused,
    worst_labels,
    worst_predicted,
)
from services.evaluator.domain.metrics.figures import SetFigures, measure

__all__ = [
    "Cell", "ClassFigures", "SetFigures", "measure", "most_confused", "worst_labels", "worst_predicted",
]  # fmt: skip
