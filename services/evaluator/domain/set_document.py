"""One set of the report document, as JSON: names instead of class indices, null instead of NaN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.evaluator.domain.answers import NO_CLASS
from services.evaluator.domain.metrics.calibration import Bin
from services.evaluator.domain.metrics.counts import (
    Average,
    Cell,
    ClassFigures,
    most_confused,
    worst_labels,
    worst_predicted,
)
from services.evaluator.domain.metrics.figures import SetFigures
from services.evaluator.domain.metrics.groups import GroupFigures
from services.evaluator.domain.metrics.intervals import Interval
from services.evaluator.domain.sweep import Sweep
from services.evaluator.domain.threshold import ClassThreshold, ThresholdReport

LISTED = 20
"""Confused pairs and worst labels listed per set: what a person reads; the tables hold the rest."""


def set_document(
    figures: SetFigures,
    report: ThresholdReport,
    class_thresholds: Sequence[ClassThreshold],
    sweep: Sequence[ThresholdReport],
    classes: Sequence[str],
) -> dict[str, Any]:
    """What the report says of a set beyond its SetScore."""
    return {
        **_figures(figures),
        **_threshold(report),
        **_lists(figures, classes),
        "per_class": [_class_line(line, classes) for line in figures.classes],
        "per_class_threshold": [_class_threshold(line, classes) for line in class_thresholds],
        "sweep": [sweep_line(line) for line in sweep],
        "reliability": [_bin(point) for point in figures.reliability],
        "per_source": [_group(group) for group in figures.sources],
        "per_flag": [_group(group) for group in figures.flags],
        "confusion": [[cell.truth, cell.predicted, cell.images] for cell in figures.confusion],
    }


def sweep_document(sweep: Sweep) -> dict[str, Any]:
    """The threshold that meets the targets, and what the sets get at it."""
    return {
        "above": sweep.above,
        "highest": sweep.highest,
        "value": sweep.value,
        "sets": {name: sweep_line(report) for name, report in sweep.at.items()},
    }


def sweep_line(report: ThresholdReport) -> dict[str, Any]:
    """One threshold's counts and shares."""
    return {
        "threshold_percent": report.threshold_percent,
        "above": report.above,
        "below": report.below,
        "true_positives_above_images": report.true_positives_above,
        "false_positives_above_images": report.false_positives_above,
        "true_positives_above": report.share(report.true_positives_above),
        "false_positives_above": report.share(report.false_positives_above),
    }


def _figures(figures: SetFigures) -> dict[str, Any]:
    return {
        "known_images": figures.known,
        "accuracy_interval": _limits(figures.accuracy_interval),
        "balanced_accuracy": figures.balanced_accuracy,
        "top_3_accuracy": figures.top_3_accuracy,
        "top_k": [
            {"k": line.k, "accuracy": line.accuracy, "interval": _limits(line.interval)}
            for line in figures.top
        ],
        "f1_weighted": figures.f1_weighted,
        "macro": _average(figures.macro),
        "weighted": _average(figures.weighted),
        "matthews": figures.matthews,
        "log_loss_interval": _limits(figures.log_loss_interval),
        "weighted_log_loss": figures.weighted_log_loss,
        "weighted_log_loss_interval": _limits(figures.weighted_log_loss_interval),
        "roc_auc_macro": figures.roc_auc_macro,
        "roc_auc_weighted": figures.roc_auc_weighted,
        "average_precision_macro": figures.average_precision_macro,
        "average_precision_weighted": figures.average_precision_weighted,
        "calibration_error": figures.calibration_error,
    }


def _threshold(report: ThresholdReport) -> dict[str, Any]:
    return {
        "errors": report.errors,
        "threshold_percent": report.threshold_percent,
        "true_positives_above_images": report.true_positives_above,
        "false_positives_above_images": report.false_positives_above,
        "true_positives_above_interval": _limits(report.true_positives_interval),
        "false_positives_above_interval": _limits(report.false_positives_interval),
    }


def _lists(figures: SetFigures, classes: Sequence[str]) -> dict[str, Any]:
    shown = {line.index: line.images for line in figures.classes}
    return {
        "most_confused": [_pair(cell, shown, classes) for cell in most_confused(figures.confusion, LISTED)],
        "worst_labels": [
            {
                "label": classes[line.index],
                "images": line.images,
                "errors": line.errors,
                "recall": line.recall,
                "recall_interval": _limits(line.recall_interval),
            }
            for line in worst_labels(figures.classes, LISTED)
        ],
        "worst_predicted": [
            {
                "label": classes[line.index],
                "predicted": line.predicted,
                "wrong": line.wrongly_predicted,
                "precision": line.precision,
                "precision_interval": _limits(line.precision_interval),
            }
            for line in worst_predicted(figures.classes, LISTED)
        ],
    }


def _pair(cell: Cell, shown: dict[int, int], classes: Sequence[str]) -> dict[str, Any]:
    return {
        "truth": classes[cell.truth],
        "predicted": classes[cell.predicted],
        "images": cell.images,
        "share_of_truth": cell.images / shown[cell.truth],
    }


def _class_line(line: ClassFigures, classes: Sequence[str]) -> dict[str, Any]:
    return {
        "label": classes[line.index],
        "images": line.images,
        "predicted": line.predicted,
        "correct": line.correct,
        "precision": line.precision,
        "precision_interval": _limits(line.precision_interval),
        "recall": line.recall,
        "recall_interval": _limits(line.recall_interval),
        "f1": line.f1,
        "f1_interval": _limits(line.f1_interval),
        "roc_auc": line.roc_auc,
        "average_precision": line.average_precision,
    }


def _class_threshold(line: ClassThreshold, classes: Sequence[str]) -> dict[str, Any]:
    return {
        "label": None if line.index == NO_CLASS else classes[line.index],
        "images": line.images,
        "true_positives_above": line.true_positives_above,
        "false_positives_above": line.false_positives_above,
        "below": line.below,
        "wrongly_named_above": line.wrongly_named_above,
        "true_positives_interval": _limits(line.true_positives_interval),
    }


def _bin(point: Bin) -> dict[str, Any]:
    return {
        "above": point.above,
        "upto": point.upto,
        "images": point.images,
        "confidence": point.confidence,
        "accuracy": point.accuracy,
        "interval": _limits(point.interval),
    }


def _group(group: GroupFigures) -> dict[str, Any]:
    return {**vars(group), "accuracy_interval": _limits(group.accuracy_interval)}


def _average(average: Average | None) -> dict[str, float] | None:
    return None if average is None else dict(vars(average))


def _limits(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]
