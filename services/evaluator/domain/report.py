"""The figures of all sets together: as the message's values and as the report document."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.events import Gate, SetScore
from services.evaluator.domain.answers import Answers, Floats
from services.evaluator.domain.gate import Paired, Rule, decide
from services.evaluator.domain.metrics.confidences import ConfidenceBin, confidence_bins
from services.evaluator.domain.metrics.figures import SetFigures, measure
from services.evaluator.domain.metrics.groups import (
    GroupFigures,
    group_figures,
    parts_by_flag,
    parts_by_source,
)
from services.evaluator.domain.metrics.ranking import rank_classes
from services.evaluator.domain.set_document import set_document, sweep_document
from services.evaluator.domain.sweep import Sweep, Target, find_threshold, table
from services.evaluator.domain.threshold import (
    ClassThreshold,
    ThresholdReport,
    report_classes,
    report_threshold,
)

REPORT_VERSION = 2


@dataclass(frozen=True)
class Beside:
    """What figures beyond the answers need, row by row as the answers; what is missing gives no figure."""

    scores: NDArray[np.floating] | None = None
    """N x C, may be memory-mapped: AUC-ROC and average precision."""
    weighted: Floats | None = None
    """Weighted loss of each image, by ``metrics.losses.weighted_losses``."""
    sources: Sequence[str | None] | None = None
    flags: Sequence[Collection[str]] | None = None
    """Quality flags of each image."""
    classes: Sequence[str] = ()
    """Names, for the sentences of the gate."""
    paired: Mapping[str, Paired] | None = None
    """Losses of each set beside production's, for the gate."""
    to_pair: str = ""
    """What has both models score the same images, for a sentence of the gate."""


NOTHING = Beside()


@dataclass(frozen=True)
class Evaluation:
    """Everything by set name, the gate, and the threshold that would meet the gate's own targets."""

    figures: dict[str, SetFigures]
    thresholds: dict[str, ThresholdReport]
    gate: Gate
    class_thresholds: dict[str, tuple[ClassThreshold, ...]]
    sweeps: dict[str, tuple[ThresholdReport, ...]]
    meeting: Sweep
    confidences: dict[str, tuple[ConfidenceBin, ...]]


def evaluate(
    answers: Answers,
    sets: Mapping[str, Sequence[int]],
    threshold_percent: float,
    rules: Sequence[Rule],
    beside: Beside = NOTHING,
) -> Evaluation:
    """Measure each set (name -> positions in ``answers``) and apply the gate's rules."""
    chosen = {name: answers.select(positions) for name, positions in sets.items()}
    thresholds = {name: report_threshold(some, threshold_percent) for name, some in chosen.items()}
    return Evaluation(
        figures={name: _figures(answers, np.array(sets[name], np.int64), beside) for name in sets},
        thresholds=thresholds,
        gate=decide(
            thresholds, rules, answers=chosen, classes=beside.classes, paired=beside.paired,
            to_pair=beside.to_pair,
        ),
        class_thresholds={name: report_classes(some, threshold_percent) for name, some in chosen.items()},
        sweeps={name: table(some) for name, some in chosen.items()},
        meeting=find_threshold(chosen, targets_of(rules)),
        confidences={name: confidence_bins(some) for name, some in chosen.items()},
    )  # fmt: skip


def targets_of(rules: Sequence[Rule]) -> tuple[Target, ...]:
    """What the gate asks of a threshold."""
    return tuple(
        Target(rule.set_name, true_positives_min_percent=rule.limit)
        if rule.measure == "true positives"
        else Target(rule.set_name, false_positives_max_percent=rule.limit)
        for rule in rules
        if (rule.measure, rule.bound) in {("true positives", "at least"), ("false positives", "at most")}
    )


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
        "threshold_for_targets": sweep_document(evaluation.meeting),
        "sets": [
            {
                **score.model_dump(mode="json"),
                **set_document(
                    evaluation.figures[score.name],
                    evaluation.thresholds[score.name],
                    evaluation.class_thresholds[score.name],
                    evaluation.sweeps[score.name],
                    classes,
                ),
                "confidences": [_bin(one) for one in evaluation.confidences[score.name]],
            }
            for score in set_scores(evaluation)
        ],
    }


def _bin(one: ConfidenceBin) -> dict[str, Any]:
    return {"from": one.start, "upto": one.upto, "right": one.right, "wrong": one.wrong}


def _figures(answers: Answers, positions: NDArray[np.int64], beside: Beside) -> SetFigures:
    chosen = answers.select(positions)
    ranking = None if beside.scores is None else rank_classes(beside.scores, answers.truth, positions)
    weighted = None if beside.weighted is None else beside.weighted[positions]
    return measure(
        chosen, ranking, weighted, sources=_by_source(chosen, positions, beside, weighted),
        flags=_by_flag(chosen, positions, beside, weighted),
    )  # fmt: skip


def _by_source(
    chosen: Answers, positions: NDArray[np.int64], beside: Beside, weighted: Floats | None
) -> tuple[GroupFigures, ...]:
    if beside.sources is None or not len(positions):
        return ()
    return group_figures(chosen, parts_by_source([beside.sources[i] for i in positions]), weighted)


def _by_flag(
    chosen: Answers, positions: NDArray[np.int64], beside: Beside, weighted: Floats | None
) -> tuple[GroupFigures, ...]:
    if beside.flags is None or not len(positions):
        return ()
    return group_figures(chosen, parts_by_flag([beside.flags[i] for i in positions]), weighted)


def _set_score(name: str, figures: SetFigures, report: ThresholdReport) -> SetScore:
    return SetScore(
        name=name,
        images=report.images,
        accuracy=figures.accuracy,
        f1_macro=figures.f1_macro,
        log_loss=figures.log_loss,
        weighted_log_loss=figures.weighted_log_loss,
        true_positives_above=report.share(report.true_positives_above),
        false_positives_above=report.share(report.false_positives_above),
        confidence_min=report.confidence_min,
        confidence_max=report.confidence_max,
        confidence_mean=report.confidence_mean,
        confidence_median=report.confidence_median,
        above_threshold=report.above,
        below_threshold=report.below,
    )
