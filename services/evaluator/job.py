"""The scoring child: ``python -m services.evaluator.job``. Scores, measures, writes the report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from services.evaluator.artefacts import Artefacts
from services.evaluator.domain.answers import ScoresRefused
from services.evaluator.domain.figure_rows import figure_rows
from services.evaluator.domain.report import set_scores
from services.evaluator.measuring import Measured, figures_document, measure
from services.evaluator.page.galleries import Scored, galleries
from services.evaluator.page.rendering import Gallery, page_of
from services.evaluator.queue_file import build_queue
from services.evaluator.scoring.running import score_images
from services.evaluator.scoring.scenes import Scene, scene_of
from services.evaluator.scoring.specs import Evaluating, Scoring
from services.evaluator.settings import EvaluatorSettings
from services.runtime.child import ChildFailed, child_main
from services.runtime.model_archive import ModelRefused
from services.runtime.objectstore import ObjectStore
from services.runtime.shards import ManifestDamaged

Tell = Callable[[dict[str, Any]], None]


def work(spec: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Score the model of ``spec``; returns the fields of ModelScored that come from scoring."""
    settings = EvaluatorSettings()
    store = ObjectStore(settings)
    asked = Evaluating.model_validate(spec)
    scoring = asked.scoring
    try:
        scene = scene_of(store, scoring.model, scoring.under)
        path = score_images(
            store, scene, Path(scoring.folder), tell,
            precision=settings.scores_precision, keep_every_s=settings.scoring_keep_every_s,
        )  # fmt: skip
        measured = measure(store, asked, scene, path, settings)
    except (ManifestDamaged, ModelRefused, ScoresRefused) as error:
        raise ChildFailed(str(error), "Train the model again; if it happens again, report a bug.") from error
    return _told(store, asked, scene, path, measured, settings)


def _told(
    store: ObjectStore,
    asked: Evaluating,
    scene: Scene,
    path: Path,
    measured: Measured,
    settings: EvaluatorSettings,
) -> dict[str, Any]:
    """Writes the files; returns what the parent tells."""
    scoring, evaluation = asked.scoring, measured.evaluation
    artefacts = Artefacts.of_evaluation(store, scoring.model.model_version, scoring.request_id)
    ids = [row["image_id"] for row in scene.rows]
    results = artefacts.put_results(ids, measured.names, measured.answers, scene.fold.columns)
    scores = artefacts.put_scores(path)
    queued = None if scoring.under is not None else _queue(scene, path, measured)
    queue = None if queued is None else artefacts.put_queue(queued)
    report = {
        **figures_document(measured, asked, scene, settings),
        "model_version": scoring.model.model_version,
        "request_id": scoring.request_id,
        "threshold_percent": settings.confidence_threshold_percent,
        "results": results.model_dump(mode="json"),
        "scores": scores.model_dump(mode="json"),
        **_of_taxonomy(scoring, scene),
    }
    figures = artefacts.put_figures(figure_rows(report))
    shown = galleries_of(store, scene, measured, queued)
    page = artefacts.put_page(page_of(report, scoring.model, settings.gate_rules(), shown))
    told = {"page": page.model_dump(mode="json"), "figures": figures.model_dump(mode="json")}
    return {
        **told,
        "threshold": settings.confidence_threshold_percent,
        "sets": [score.model_dump(mode="json") for score in set_scores(evaluation)],
        "gate": evaluation.gate.model_dump(mode="json"),
        "report": artefacts.put_report({**report, **told}).model_dump(mode="json"),
        "scores": scores.model_dump(mode="json"),
        "queue": None if queue is None else queue.model_dump(mode="json"),
        "matrix": scene.matrix_id(settings.scores_precision),
        **_of_taxonomy(scoring, scene),
    }


def _queue(scene: Scene, path: Path, measured: Measured) -> pa.Table:
    """Labels to look at again; under other classes there is none, as its labels are nobody's."""
    ids = [row["image_id"] for row in scene.rows]
    return build_queue(
        np.load(path, mmap_mode="r"), ids, measured.names, measured.answers.truth, scene.fold.columns
    )


def galleries_of(
    store: ObjectStore, scene: Scene, measured: Measured, queue: pa.Table | None
) -> list[Gallery]:
    """The pictures of the page."""
    scored = Scored(scene.rows, measured.names, measured.answers, scene.fold.columns)
    if queue is None:
        return galleries(store, scored, None)
    ids, suspicions = (queue.column(name).to_pylist() for name in ("image_id", "suspicion"))
    return galleries(store, scored, list(zip(ids, suspicions, strict=True)))


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
