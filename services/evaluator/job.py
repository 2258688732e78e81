"""The scoring child: ``python -m services.evaluator.job``. Scores, measures, writes the report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from services.evaluator.artefacts import Artefacts
from services.evaluator.domain.answers import Answers, ScoresRefused, read_answers
from services.evaluator.domain.gate import rules_for
from services.evaluator.domain.report import Evaluation, document, evaluate, set_scores
from services.evaluator.domain.sets import positions_by_set, set_name, truth_of
from services.evaluator.scoring.running import score_images
from services.evaluator.scoring.scenes import Scene, scene_of
from services.evaluator.scoring.specs import Scoring
from services.evaluator.settings import EvaluatorSettings
from services.runtime.child import ChildFailed, child_main
from services.runtime.model_archive import ModelRefused
from services.runtime.objectstore import ObjectStore
from services.runtime.shards import ManifestDamaged, Row

Tell = Callable[[dict[str, Any]], None]
Measured = tuple[Answers, list[str], Evaluation]


def work(spec: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Score the model of ``spec``; returns the fields of ModelScored that come from scoring."""
    settings = EvaluatorSettings()
    store = ObjectStore(settings)
    asked = Scoring.model_validate(spec)
    try:
        scene = scene_of(store, asked.model, asked.under)
        path = score_images(
            store, scene, Path(asked.folder), tell,
            precision=settings.scores_precision, keep_every_s=settings.scoring_keep_every_s,
        )  # fmt: skip
        measured = measure(path, scene.rows, settings)
    except (ManifestDamaged, ModelRefused, ScoresRefused) as error:
        raise ChildFailed(str(error), "Train the model again; if it happens again, report a bug.") from error
    return _told(store, asked, scene, path, measured, settings)


def measure(path: Path, rows: list[Row], settings: EvaluatorSettings) -> Measured:
    """Answers per row, the set each row is in, and the figures of all sets."""
    truth = np.array([truth_of(row) for row in rows], np.int64)
    answers = read_answers(np.load(path, mmap_mode="r"), truth)
    names = [set_name(row) for row in rows]
    rules = rules_for(settings.gate_limits())
    evaluation = evaluate(answers, positions_by_set(names), settings.confidence_threshold_percent, rules)
    return answers, names, evaluation


def _told(
    store: ObjectStore,
    asked: Scoring,
    scene: Scene,
    path: Path,
    measured: Measured,
    settings: EvaluatorSettings,
) -> dict[str, Any]:
    """Writes the files; returns what the parent tells."""
    answers, names, evaluation = measured
    artefacts = Artefacts.of_evaluation(store, asked.model.model_version, asked.request_id)
    classes = scene.fold.columns
    results = artefacts.put_results([row["image_id"] for row in scene.rows], names, answers, classes)
    scores = artefacts.put_scores(path)
    report = {
        **document(evaluation, classes),
        "model_version": asked.model.model_version,
        "request_id": asked.request_id,
        "threshold_percent": settings.confidence_threshold_percent,
        "results": results.model_dump(mode="json"),
        "scores": scores.model_dump(mode="json"),
        **_of_taxonomy(asked, scene),
    }
    return {
        "threshold": settings.confidence_threshold_percent,
        "sets": [score.model_dump(mode="json") for score in set_scores(evaluation)],
        "gate": evaluation.gate.model_dump(mode="json"),
        "report": artefacts.put_report(report).model_dump(mode="json"),
        "scores": scores.model_dump(mode="json"),
        "matrix": scene.matrix_id(settings.scores_precision),
        **_of_taxonomy(asked, scene),
    }


def _of_taxonomy(asked: Scoring, scene: Scene) -> dict[str, Any]:
    """What a scoring under other classes or on other images says besides."""
    if asked.under is None:
        return {}
    return {
        "taxonomy_version": asked.under.version,
        "dataset_of": asked.under.dataset_of.model_version,
        "classes": list(scene.fold.columns),
        "unknown_classes": list(scene.unknown_classes),
        "undivided_classes": list(scene.fold.undivided),
    }


if __name__ == "__main__":
    child_main(work)
