"""The go / no-go: every rule's outcome, with a sentence for the people who decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from contracts.events import Gate, GateRule
from contracts.values import GateVerdict
from services.evaluator.domain.answers import NO_CLASS, Answers
from services.evaluator.domain.production import FEWEST_PAIRS, Paired, difference, lost_most
from services.evaluator.domain.rules import (
    NOT_WORSE,
    Bound,
    Limits,
    Measure,
    Rule,
    RulesRefused,
    read_rules,
    rules_for,
)
from services.evaluator.domain.sets import SIDES
from services.evaluator.domain.threshold import ThresholdReport, least_images, most_images

__all__ = [
    "Bound", "Limits", "Measure", "Paired", "Rule", "RulesRefused", "decide", "read_rules", "rules_for",
]  # fmt: skip

LABELS_NAMED = 3
"""In a sentence: what a person remembers; the report has the tables."""


def decide(
    reports: Mapping[str, ThresholdReport],
    rules: Sequence[Rule],
    *,
    answers: Mapping[str, Answers] | None = None,
    classes: Sequence[str] = (),
    paired: Mapping[str, Paired] | None = None,
    to_pair: str = "",
) -> Gate:
    """Apply ``rules`` to the threshold reports by set name: no-go only when one failed.

    ``answers`` by set name and the names of the ``classes`` let a failed rule name its worst labels.
    ``paired`` has the losses of each set beside production's; None: no model is in production yet.
    ``to_pair`` names the commands that have production score what this model was scored on.
    """
    outcomes = tuple(
        _compare(rule, reports.get(rule.set_name), paired, classes, to_pair)
        if rule.bound == NOT_WORSE
        else _apply(rule, reports.get(rule.set_name), (answers or {}).get(rule.set_name), classes)
        for rule in rules
    )
    failed = any(outcome.passed is False for outcome in outcomes)
    return Gate(verdict=GateVerdict.NO_GO if failed else GateVerdict.GO, rules=outcomes)


def _apply(
    rule: Rule, report: ThresholdReport | None, answers: Answers | None, classes: Sequence[str]
) -> GateRule:
    if rule.measure == "images":
        return _require_images(rule, report)
    if report is None or not report.images:
        sentence = f"There is no {_set(rule)} with images, so there is nothing to measure."
        return GateRule(rule=rule.name, passed=None, sentence=sentence)
    count = _count(rule, report)
    passed = _keeps(rule, count, report.images)
    sentence = _sentence(rule, report, count)
    if not passed and answers is not None:
        sentence += _worst(rule, answers, classes, report.threshold_percent)
    return GateRule(rule=rule.name, passed=passed, sentence=sentence)


def _keeps(rule: Rule, count: int, images: int) -> bool:
    if rule.measure == "errors":
        return count >= rule.limit if rule.bound == "at least" else count <= rule.limit
    if rule.bound == "at least":
        return count >= least_images(rule.limit, images)
    return count <= most_images(rule.limit, images)


def _set(rule: Rule) -> str:
    return f'{"" if rule.set_name in SIDES else "benchmark "}set "{rule.set_name}"'


def _count(rule: Rule, report: ThresholdReport) -> int:
    if rule.measure == "errors":
        return report.errors
    return report.true_positives_above if rule.measure == "true positives" else report.false_positives_above


def _require_images(rule: Rule, report: ThresholdReport | None) -> GateRule:
    images = report.images if report else 0
    if images >= rule.limit:
        sentence = f"The {rule.set_name} set has {images} images that the model has never seen."
        return GateRule(rule=rule.name, passed=True, sentence=sentence)
    what = f"has {images} images and needs {rule.limit:.12g}" if images else "is empty"
    little = "too little" if images else "nothing"
    remedy = (
        "Collect more images than a class may train on, or give the test set a share of the split."
        if rule.set_name in SIDES
        else f'Put images into it by `menagerie benchmark add "{rule.set_name}" IMAGE...`, then train again.'
    )
    sentence = (
        f"The {rule.set_name} set {what}, so {little} shows how the model does on images it has never seen. "
        f"{remedy}"
    )
    return GateRule(rule=rule.name, passed=False, sentence=sentence)


def _sentence(rule: Rule, report: ThresholdReport, count: int) -> str:
    share = f"{count} of {report.images} images ({_percent(count, report.images, rule.limit)} %)"
    level = f"{report.threshold_percent:.12g}"
    what = {
        "true positives": f"were named correctly with a confidence of {level} or more",
        "false positives": f"got a wrong name with a confidence of {level} or more",
        "errors": "got a wrong name",
    }[rule.measure]
    limit = f"{rule.limit:.12g}" if rule.measure == "errors" else f"{rule.limit:.12g} %"
    allowed = f"at least {limit} are needed" if rule.bound == "at least" else f"at most {limit} are allowed"
    return f"Of the {_set(rule)}, {share} {what}; {allowed}."


def _percent(count: int, of: int, limit: float) -> str:
    """Rounded, but not to the limit that it misses: 1,999 of 2,500 are 79.96 % where 80 % are needed."""
    percent = 100 * count / of
    digits = next((d for d in range(1, 6) if percent == limit or float(f"{percent:.{d}f}") != limit), 6)
    return f"{percent:.{digits}f}"


def _worst(rule: Rule, answers: Answers, classes: Sequence[str], threshold_percent: float) -> str:
    """The labels behind a failed rule, most images first; empty where none has a name."""
    above = answers.confidence >= threshold_percent
    if rule.measure == "true positives":
        known = answers.truth != NO_CLASS
        missed = _most_frequent(answers.truth[known & ~(above & answers.correct)])
        of = [
            f'"{classes[i]}" ({n} of {int((answers.truth == i).sum())})'
            for i, n in missed
            if i < len(classes)
        ]
        return f" Most are missing of {', '.join(of)}." if of else ""
    wrong = ~answers.correct & (above | (rule.measure == "errors"))
    size = len(classes)
    pairs = _most_frequent(answers.truth[wrong] * size + answers.predicted[wrong]) if size else []
    told = [
        f'"{classes[code % size]}"' + (f' for "{classes[code // size]}"' if code >= 0 else "") + f" ({n})"
        for code, n in pairs
    ]
    return f" The wrong names were most often {', '.join(told)}." if told else ""


def _most_frequent(values: np.ndarray) -> list[tuple[int, int]]:
    found, counts = np.unique(values, return_counts=True)
    order = sorted(zip(found.tolist(), counts.tolist(), strict=True), key=lambda one: (-one[1], one[0]))
    return order[:LABELS_NAMED]


def _compare(
    rule: Rule,
    report: ThresholdReport | None,
    paired: Mapping[str, Paired] | None,
    classes: Sequence[str],
    to_pair: str,
) -> GateRule:
    if paired is None:
        sentence = "No model is in production yet, so there is nothing that this one could be worse than."
        return GateRule(rule=rule.name, passed=None, sentence=sentence)
    both = paired.get(rule.set_name)
    images = 0 if both is None else len(both)
    if both is None or images < FEWEST_PAIRS:
        sentence = _too_few(rule, images, 0 if report is None else report.images, to_pair)
        return GateRule(rule=rule.name, passed=None, sentence=sentence)
    gap = difference(both, rule.limit)
    passed = gap.low <= 0.0
    sentence = (
        f'On the {images} images of the set "{rule.set_name}" that both have scored, wrong and unsure '
        f"answers cost this model {both.ours.mean():.3f} an image and model {both.production} in production "
        f"{both.theirs.mean():.3f} (weighted log loss, less is better). The difference of {gap.mean:+.3f} "
        f"lies between {gap.low:+.3f} and {gap.high:+.3f} with {rule.limit:.12g} % confidence, so this model "
        f"is {_judged(gap.low, gap.high)}."
    )
    worst = () if passed else lost_most(both, classes, LABELS_NAMED)
    if worst:
        told = ", ".join(f'"{label}" ({images} images)' for label, images in worst)
        sentence += f" It got worse most of all on {told}."
    return GateRule(rule=rule.name, passed=passed, sentence=sentence)


def _too_few(rule: Rule, images: int, of: int, to_pair: str) -> str:
    told = (
        f'Only {images} images of the set "{rule.set_name}" were scored by this model and by the one in '
        f"production, and learned from by neither; fewer than {FEWEST_PAIRS} show nothing."
    )
    if of < FEWEST_PAIRS:
        return f"{told} The set itself has {of}: collect more images for it."
    return f"{told} Have the production model score them: {to_pair}." if to_pair else told


def _judged(low: float, high: float) -> str:
    if low > 0.0:
        return "worse; it may not be"
    return "better" if high < 0.0 else "not worse beyond chance"
