"""The benchmark table (domain.md section 2): figures beside the model in production and what is required."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from contracts.events import SetScore
from services.evaluator.domain.rules import Rule
from services.evaluator.domain.sets import OUT_OF_SCOPE
from services.evaluator.domain.threshold import ThresholdReport

HIGHER_IS_BETTER = {
    "min": True, "max": None, "median": True, "mean": True, "above": None, "below": None,
    "true_positives_above": True, "false_positives_above": False,
}  # fmt: skip
"""Figures in their order; None where neither direction is better by itself (above may be wrong answers)."""


CONFIDENCES = ("min", "median", "mean")


@dataclass(frozen=True)
class Column:
    """Figures of one model on one set; confidences 0..100, positives as shares of all images 0..1."""

    images: int
    figures: Mapping[str, float | None]


@dataclass(frozen=True)
class Row:
    """One figure of one set. ``better`` is None without both models, or where neither is."""

    set_name: str
    figure: str
    model: float | None
    production: float | None
    difference: float | None
    required: float | None
    better: bool | None


def column_of(figures: ThresholdReport | SetScore) -> Column:
    """From a report computed here, or from what ``model.scored`` said of an older model."""
    if isinstance(figures, SetScore):
        above, below = figures.above_threshold, figures.below_threshold
        true, false = figures.true_positives_above, figures.false_positives_above
    else:
        above, below = figures.above, figures.below
        true, false = (
            figures.share(figures.true_positives_above),
            figures.share(figures.false_positives_above),
        )
    values: tuple[float | None, ...] = (
        figures.confidence_min, figures.confidence_max, figures.confidence_median, figures.confidence_mean,
        above, below, true, false,
    )  # fmt: skip
    return Column(figures.images, dict(zip(HIGHER_IS_BETTER, values, strict=True)))


def benchmark_table(
    model: Mapping[str, Column],
    production: Mapping[str, Column] | None = None,
    required: Mapping[tuple[str, str], float] | None = None,
) -> tuple[Row, ...]:
    """One row per set of ``model`` and figure.

    ``required`` is by (set name, figure). A set that has no images in one of the two models has no
    difference; counts are compared only between sets of the same size.
    """
    rows = []
    for name, column in model.items():
        other = (production or {}).get(name)
        for figure, value in column.figures.items():
            beside = other.figures[figure] if other and other.images else None
            comparable = figure not in {"above", "below"} or (
                other is not None and other.images == column.images
            )
            difference = value - beside if comparable and value is not None and beside is not None else None
            rows.append(
                Row(name, figure, value, beside, difference, (required or {}).get((name, figure)),
                    _better(name, figure, difference))
            )  # fmt: skip
    return tuple(rows)


def required_by(rules: Iterable[Rule]) -> dict[tuple[str, str], float]:
    """What the gate asks of the table's figures, as shares 0..1 like the figures themselves."""
    figures = {"true positives": "true_positives_above", "false positives": "false_positives_above"}
    return {
        (rule.set_name, figures[rule.measure]): rule.limit / 100.0
        for rule in rules
        if rule.measure in figures
    }


def table_document(rows: tuple[Row, ...]) -> list[dict[str, Any]]:
    """As JSON."""
    return [vars(row) for row in rows]


def _better(set_name: str, figure: str, difference: float | None) -> bool | None:
    higher = HIGHER_IS_BETTER[figure]
    if set_name == OUT_OF_SCOPE and figure in CONFIDENCES:
        higher = False  # every answer is wrong there: the surer, the worse
    if not difference or higher is None:
        return None
    return (difference > 0) == higher
