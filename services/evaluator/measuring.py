"""Measures what was scored: every figure, and the gate beside the model in production."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from contracts.values import Side
from services.evaluator.domain.answers import Answers, read_answers
from services.evaluator.domain.benchmarks import benchmark_table, column_of, required_by, table_document
from services.evaluator.domain.metrics.losses import PairWeights, weighted_losses
from services.evaluator.domain.report import Beside, Evaluation, document, evaluate
from services.evaluator.domain.sets import positions_by_set, set_name, truth_of
from services.evaluator.scoring.of_production import OfProduction, of_production
from services.evaluator.scoring.scenes import Scene
from services.evaluator.scoring.specs import Evaluating, Scoring
from services.evaluator.settings import EvaluatorSettings
from services.runtime.objectstore import ObjectStore
from services.runtime.shards import Row

LEARNED_SIDES = (Side.TRAIN.value, Side.VALIDATION.value)
"""Of no benchmark table: production has learned from most of these images itself."""


@dataclass(frozen=True)
class Measured:
    """What is known of each row of the scene, and the figures of all sets."""

    answers: Answers
    names: list[str]
    """The set of each row."""
    evaluation: Evaluation
    production: OfProduction | None


def measure(
    store: ObjectStore, asked: Evaluating, scene: Scene, path: Path, settings: EvaluatorSettings
) -> Measured:
    """The figures of the score matrix ``path``, row i for row i of the scene.

    Raises:
        ScoresRefused: the matrix is not what a classifier with softmax says.
        ManifestDamaged: what production learned from cannot be read.
    """
    rows, classes = scene.rows, scene.fold.columns
    scores = np.load(path, mmap_mode="r")
    answers = read_answers(scores, np.array([truth_of(row) for row in rows], np.int64))
    names = [set_name(row) for row in rows]
    sets = positions_by_set(names)
    losses = weighted_losses(scores, answers, PairWeights(asked.confused.indexed(classes), len(classes)))
    production = of_production(store, asked, scene)
    beside = Beside(
        scores=scores,
        weighted=losses,
        sources=[row["source"] for row in rows],
        classes=classes,
        paired=None if production is None else production.paired(rows, sets, answers.truth, losses),
        flags=_flags(asked, rows),
        to_pair="" if production is None else commands_to_pair(asked.scoring, production.model_version),
    )
    threshold = settings.confidence_threshold_percent
    evaluation = evaluate(answers, sets, threshold, settings.gate_rules(), beside)
    return Measured(answers, names, evaluation, production)


def commands_to_pair(scoring: Scoring, production: str) -> str:
    """What a person types so that production has scored the images of ``scoring``, and it is beside it."""
    new, under = scoring.model.model_version, scoring.under
    if under is None:
        return f"`menagerie evaluate {production} --dataset-of {new}`, then `menagerie evaluate {new}`"
    asked = f"--dataset-of {under.dataset_of.model_version} --taxonomy-version {under.version}"
    return f"`menagerie evaluate {production} {asked}`, then `menagerie evaluate {new} {asked}`"


def _flags(asked: Evaluating, rows: Sequence[Row]) -> list[tuple[str, ...]] | None:
    """Quality flags of each row; None where the parent handed none over."""
    if asked.flags_file is None:
        return None
    flagged: dict[str, list[str]] = json.loads(Path(asked.flags_file).read_bytes())
    return [tuple(flagged.get(row["image_id"], ())) for row in rows]


def figures_document(
    measured: Measured, asked: Evaluating, scene: Scene, settings: EvaluatorSettings
) -> dict[str, Any]:
    """The report's figures, what they were made with, and the benchmark table."""
    classes = scene.fold.columns
    return {
        **document(measured.evaluation, classes),
        "confused_pairs": {
            "version": asked.confused.version,
            "missing": [[pair.one, pair.other] for pair in asked.confused.missing(classes)],
        },
        **_beside_production(measured, settings),
    }


def _beside_production(measured: Measured, settings: EvaluatorSettings) -> dict[str, Any]:
    threshold, production = settings.confidence_threshold_percent, measured.production
    theirs = None if production is None else production.columns(measured.names, threshold)
    ours = {
        name: column_of(report)
        for name, report in measured.evaluation.thresholds.items()
        if name not in LEARNED_SIDES
    }
    told = None
    if production is not None and theirs is not None:
        told = {
            "model_version": production.model_version,
            "request_id": production.request_id,
            "images": {name: theirs[name].images if name in theirs else 0 for name in ours},
        }
    table = benchmark_table(ours, theirs, required_by(settings.gate_rules()))
    return {"production": told, "benchmarks": table_document(table)}
