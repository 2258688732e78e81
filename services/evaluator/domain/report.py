"""The figures of all sets together: as the message's values and as the report document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contracts.events import Gate, SetScore
from services.evaluator.domain.answers import Answers
from services.evaluator.domain.gate import Rule, decide
from services.evaluator.domain.metrics import SetFigures, measure, most_confused, worst_labels
from services.evaluator.domain.threshold import ThresholdReport, report_threshold

REPORT_VERSION = 1
LISTED = 20
"""Confused pairs and worst labels listed per set: what a person reads; the tables hold the rest."""


@dataclass(frozen=True)
class Evaluation:
    """Figures and threshold report by set name, and the gate."""

    figures: dict[str, SetFigures]
    thresholds: dict[str, ThresholdReport]
    gate: Gate


def evaluate(
    answers: Answers, sets: Mapping[str, Sequence[int]], threshold_percent: float, rules: Sequence[Rule]
) -> Evaluation:
    """Measure each set (name -> positions in ``answers``) and apply the gate's rules."""
    chosen = {name: answers.select(positions) for name, positions in sets.items()}
    thresholds = {name: report_threshold(some, threshold_percent) for name, some in chosen.items()}
    figures = {name: measure(some) for name, some in chosen.items()}
    return Evaluation(figures, thresholds, decide(thresholds, rules))


def set_scores(evaluation: Evaluation) -> tuple[SetScore, ...]:
    """The short figures that travel in ``model.scored``."""
    return tuple(
        _set_score(name, figures, evaluation.thresholds[name]) for name, figures in evaluation.figures.items()
    )


def document(evaluation: Evaluation, classes: Sequence[str]) -> dict[str, Any]:
    """The report as JSON: no time in it, so that the same scores give the same bytes."""
    return {
        "report_version": REPORT_VERSION,
        "classes": list(classes),
        "gate": evaluation.gate.model_dump(mode="json"),
        "sets": [
            _set_document(score, evaluation.figures[score.name], evaluation.thresholds[score.name], classes)
            for score in set_scores(evaluation)
        ],
    }


def _set_score(name: str, figures: SetFigures, report: ThresholdReport) -> SetScore:
    return SetScore(
        name=name,
        images=report.images,
        accuracy=figures.accuracy,
        f1_macro=figures.f1_macro,
        log_loss=figures.log_loss,
        true_positives_above=report.share(report.true_positives_above),
        false_positives_above=report.share(report.false_positives_above),
        confidence_min=report.confidence_min,
        confidence_max=report.confidence_max,
        confidence_mean=report.confidence_mean,
        confidence_median=report.confidence_median,
        above_threshold=report.above,
        below_threshold=report.below,
    )


def _set_document(
    score: SetScore, figures: SetFigures, report: ThresholdReport, classes: Sequence[str]
) -> dict[str, Any]:
    shown = {line.index: line.images for line in figures.classes}
    return {
        **score.model_dump(mode="json"),
        "known_images": figures.known,
        "errors": report.errors,
        "balanced_accuracy": figures.balanced_accuracy,
        "top_3_accuracy": figures.top_3_accuracy,
        "threshold_percent": report.threshold_percent,
        "true_positives_above_images": report.true_positives_above,
        "false_positives_above_images": report.false_positives_above,
        "most_confused": [
            {
                "truth": classes[cell.truth],
                "predicted": classes[cell.predicted],
                "images": cell.images,
                "share_of_truth": cell.images / shown[cell.truth],
            }
            for cell in most_confused(figures.confusion, LISTED)
        ],
        "worst_labels": [
            {
                "label": classes[line.index],
                "images": line.images,
                "errors": line.errors,
                "recall": line.recall,
            }
            for line in worst_labels(figures.classes, LISTED)
        ],
        "per_class": [
            {
                "label": classes[line.index],
                "images": line.images,
                "predicted": line.predicted,
                "correct": line.correct,
                "precision": line.precision,
                "recall": line.recall,
                "f1": line.f1,
            }
            for line in figures.classes
        ],
        "confusion": [[cell.truth, cell.predicted, cell.images] for cell in figures.confusion],
    }
