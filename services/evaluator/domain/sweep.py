"""Which confidence threshold meets the targets: every possible one is looked at.

A higher threshold never raises the true or the false positives. So false positives bound it from below
and true positives from above, and what meets all targets is one range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from services.evaluator.domain.answers import Answers, Floats
from services.evaluator.domain.threshold import (
    ThresholdReport,
    least_images,
    most_images,
    report_threshold,
)

TABLE_PERCENT = (50.0, 60.0, 70.0, 80.0, 85.0, 90.0, 92.5, 95.0, 96.0, 97.0, 98.0, 99.0, 99.5, 99.9)
"""Thresholds that the table of a sweep has; the chosen value is found among all."""
HIGHEST_PERCENT = 100.0
MOST_DIGITS = 12


@dataclass(frozen=True)
class Target:
    """Percentages of all images of the set; the defaults ask for nothing."""

    set_name: str
    true_positives_min_percent: float = 0.0
    false_positives_max_percent: float = 100.0


@dataclass(frozen=True)
class Sweep:
    """``value`` meets all targets and lets through the most answers; None when no value does.

    Every threshold over ``above`` and not over ``highest`` meets them: ``above`` is the greatest
    confidence of a wrong answer that must not pass (None: all may), ``highest`` the least of a right one
    that must (None: there are too few right answers, whatever the threshold). ``at`` holds the reports of
    the targets' sets at ``value``, or without one at the least threshold that keeps wrong answers out.
    """

    above: float | None
    highest: float | None
    value: float | None
    at: dict[str, ThresholdReport]


def table(answers: Answers, thresholds: Sequence[float] = TABLE_PERCENT) -> tuple[ThresholdReport, ...]:
    """One report per threshold."""
    return tuple(report_threshold(answers, threshold) for threshold in thresholds)


def find_threshold(sets: Mapping[str, Answers], targets: Sequence[Target]) -> Sweep:
    """The threshold for these targets; sets without images demand nothing."""
    measured = [target for target in targets if len(sets.get(target.set_name, ()))]
    bounds = [_above(sets[t.set_name], t.false_positives_max_percent) for t in measured]
    above = max((bound for bound in bounds if bound is not None), default=None)
    tops = [_highest(sets[t.set_name], t.true_positives_min_percent) for t in measured]
    highest = None if None in tops else min((top for top in tops if top is not None), default=HIGHEST_PERCENT)
    confidences = [sets[target.set_name].confidence for target in measured]
    value = None
    if highest is not None and (above is None or above < highest):
        value = _in_few_digits(above, min(highest, _next(above, confidences)))
    shown = _next(above, confidences) if value is None else value
    at = {target.set_name: report_threshold(sets[target.set_name], shown) for target in measured}
    return Sweep(above, highest, value, at)


def _above(answers: Answers, false_positives_max_percent: float) -> float | None:
    """The confidence of the first wrong answer too many, most confident first."""
    wrong = np.sort(answers.confidence[~answers.correct])[::-1]
    allowed = most_images(false_positives_max_percent, len(answers))
    return float(wrong[allowed]) if allowed < len(wrong) else None


def _highest(answers: Answers, true_positives_min_percent: float) -> float | None:
    """The confidence of the last right answer that is needed, most confident first."""
    right = np.sort(answers.confidence[answers.correct])[::-1]
    needed = least_images(true_positives_min_percent, len(answers))
    if not needed:
        return HIGHEST_PERCENT
    return float(right[needed - 1]) if needed <= len(right) else None


def _next(above: float | None, confidences: Sequence[Floats]) -> float:
    """The least confidence over ``above``; all thresholds between the two have the same answers over them."""
    if above is None:
        return 0.0
    higher = [float(some[some > above].min()) for some in confidences if (some > above).any()]
    return min(higher, default=HIGHEST_PERCENT)


def _in_few_digits(above: float | None, upto: float) -> float:
    """A number people can say, over ``above`` and not over ``upto``."""
    for digits in range(MOST_DIGITS):
        said = float(np.floor(upto * 10**digits) / 10**digits)
        if (above is None or above < said) and said <= upto:
            return said
    return upto
