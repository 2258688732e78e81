"""The go / no-go: rules as data, each outcome with a sentence for the people who decide.

Rules and numbers: domain.md section 3; the meaning of the most-common and least-common sets:
section 2 and part 2 of the articles ("again need to be correct, but reach ... the threshold").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from contracts.events import Gate, GateRule
from contracts.values import GateVerdict, Side
from services.evaluator.domain.sets import DIFFICULT, LEAST_COMMON, MOST_COMMON, OUT_OF_SCOPE
from services.evaluator.domain.threshold import ThresholdReport

Measure = Literal["images", "errors", "true positives", "false positives"]


@dataclass(frozen=True)
class Rule:
    """``measure`` of set ``set_name`` must be at least or at most ``limit``.

    The limit is a number of images for images and errors, else a percentage of the set's images.
    """

    name: str
    set_name: str
    measure: Measure
    bound: Literal["at least", "at most"]
    limit: float


@dataclass(frozen=True)
class Limits:
    """Numbers of the gate; the defaults are the domain's."""

    difficult_true_positives_min_percent: float = 80.0
    difficult_false_positives_max_percent: float = 5.0
    out_of_scope_false_positives_max_percent: float = 10.0
    most_common_errors_max_images: int = 0
    least_common_true_positives_min_percent: float = 100.0


def rules_for(limits: Limits) -> tuple[Rule, ...]:
    """All rules, in the order they are told."""
    return (
        Rule("test-images", Side.TEST.value, "images", "at least", 1),
        Rule("difficult-true-positives", DIFFICULT, "true positives", "at least",
             limits.difficult_true_positives_min_percent),
        Rule("difficult-false-positives", DIFFICULT, "false positives", "at most",
             limits.difficult_false_positives_max_percent),
        Rule("out-of-scope-false-positives", OUT_OF_SCOPE, "false positives", "at most",
             limits.out_of_scope_false_positives_max_percent),
        Rule("most-common-errors", MOST_COMMON, "errors", "at most", limits.most_common_errors_max_images),
        Rule("least-common-true-positives", LEAST_COMMON, "true positives", "at least",
             limits.least_common_true_positives_min_percent),
    )  # fmt: skip


def decide(reports: Mapping[str, ThresholdReport], rules: Sequence[Rule]) -> Gate:
    """Apply ``rules`` to the threshold reports by set name: no-go only when one failed."""
    outcomes = tuple(_apply(rule, reports.get(rule.set_name)) for rule in rules)
    failed = any(outcome.passed is False for outcome in outcomes)
    return Gate(verdict=GateVerdict.NO_GO if failed else GateVerdict.GO, rules=outcomes)


def _apply(rule: Rule, report: ThresholdReport | None) -> GateRule:
    if rule.measure == "images":
        return _require_images(rule, report)
    if report is None or not report.images:
        sentence = f'There is no benchmark set "{rule.set_name}" with images, so there is nothing to measure.'
        return GateRule(rule=rule.name, passed=None, sentence=sentence)
    count = _count(rule, report)
    # Whole numbers times whole percentages: 8 of 10 against 80 % must not hang on a rounding.
    absolute = rule.measure == "errors"
    value, needed = (count, rule.limit) if absolute else (100 * count, rule.limit * report.images)
    passed = value >= needed if rule.bound == "at least" else value <= needed
    return GateRule(rule=rule.name, passed=passed, sentence=_sentence(rule, report, count))


def _count(rule: Rule, report: ThresholdReport) -> int:
    if rule.measure == "errors":
        return report.errors
    return report.true_positives_above if rule.measure == "true positives" else report.false_positives_above


def _require_images(rule: Rule, report: ThresholdReport | None) -> GateRule:
    images = report.images if report else 0
    if images >= rule.limit:
        sentence = f"The test set has {images} images that the model has never seen."
        return GateRule(rule=rule.name, passed=True, sentence=sentence)
    sentence = (
        "The test set is empty, so nothing shows how the model does on images it has never seen. "
        "Collect more images than a class may train on, or give the test set a share of the split."
    )
    return GateRule(rule=rule.name, passed=False, sentence=sentence)


def _sentence(rule: Rule, report: ThresholdReport, count: int) -> str:
    share = f"{count} of {report.images} images ({100 * count / report.images:.1f} %)"
    level = f"{report.threshold_percent:g}"
    what = {
        "true positives": f"were named correctly with a confidence of {level} or more",
        "false positives": f"got a wrong name with a confidence of {level} or more",
        "errors": "got a wrong name",
    }[rule.measure]
    limit = f"{rule.limit:g}" if rule.measure == "errors" else f"{rule.limit:g} %"
    allowed = f"at least {limit} are needed" if rule.bound == "at least" else f"at most {limit} are allowed"
    return f'Of the benchmark set "{rule.set_name}", {share} {what}; {allowed}.'
