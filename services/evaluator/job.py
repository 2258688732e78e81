"""The scoring child: ``python -m services.evaluator.job``. Scores, measures, writes the report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from contracts.events import ModelTrained
from contracts.manifests import DATASET_COLUMNS
from services.evaluator.artefacts import Artefacts
from services.evaluator.domain.answers import Answers, ScoresRefused, read_answers
from services.evaluator.domain.gate import rules_for
from services.evaluator.domain.report import Evaluation, document, evaluate, set_scores
from services.evaluator.domain.sets import SCORED_SIDES, positions_by_set, set_name, truth_of
from services.evaluator.settings import EvaluatorSettings
from services.runtime.child import ChildFailed, child_main
from services.runtime.model_archive import ModelRefused, refuse_code
from services.runtime.objectstore import ObjectStore
from services.runtime.shards import ManifestDamaged, Row, fetch_images, read_manifest

Tell = Callable[[dict[str, Any]], None]

TELLINGS = 10
"""Progress messages of one scoring."""


def work(spec: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Score the model of ``spec``; returns the fields of ModelScored that come from scoring."""
    settings = EvaluatorSettings()
    store = ObjectStore(settings)
    trained = ModelTrained.model_validate(spec["model"])
    artefacts = Artefacts(store, trained.model_version, spec["request_id"])
    try:
        rows = scored_rows(store.get(trained.dataset), len(trained.classes))
        path = score_images(store, trained, rows, Path(spec["scratch"]), tell)
        answers, names, evaluation = measure(path, rows, settings)
    except (ManifestDamaged, ModelRefused, ScoresRefused) as error:
        raise ChildFailed(str(error), "Train the model again; if it happens again, report a bug.") from error
    results = artefacts.put_results([row["image_id"] for row in rows], names, answers, trained.classes)
    scores = artefacts.put_scores(path)
    report = {
        **document(evaluation, trained.classes),
        "model_version": trained.model_version,
        "request_id": spec["request_id"],
        "threshold_percent": settings.confidence_threshold_percent,
        "results": results.model_dump(mode="json"),
        "scores": scores.model_dump(mode="json"),
    }
    return {
        "threshold": settings.confidence_threshold_percent,
        "sets": [score.model_dump(mode="json") for score in set_scores(evaluation)],
        "gate": evaluation.gate.model_dump(mode="json"),
        "report": artefacts.put_report(report).model_dump(mode="json"),
        "scores": scores.model_dump(mode="json"),
    }


def scored_rows(manifest: bytes, classes: int) -> list[Row]:
    """Rows of the data set that are scored, in manifest order.

    Raises:
        ManifestDamaged: unreadable, nothing to score, or a class index outside the model.
    """
    rows = [row for row in read_manifest(manifest, DATASET_COLUMNS) if row["side"] in SCORED_SIDES]
    if not rows:
        raise ManifestDamaged("the data set has no image on any side, so there is nothing to score")
    for row in rows:
        if row["class_index"] is None or not -1 <= row["class_index"] < classes:
            raise ManifestDamaged(
                f"image {row['image_id']} has class {row['class_index']}; the model has {classes} classes"
            )
    return rows


def score_images(
    store: ObjectStore, trained: ModelTrained, rows: list[Row], scratch: Path, tell: Tell
) -> Path:
    """Score every row; returns the path of the float32 matrix, row i for ``rows[i]``."""
    archive, path = scratch / "model.keras", scratch / "scores.npy"
    store.get_file(trained.model, archive)
    refuse_code(archive)
    from services.networks.inference import of_file  # noqa: PLC0415 - seconds, spent only on what can be used

    network = of_file(archive, trained.image_size_px, len(trained.classes))
    shape = (len(rows), len(trained.classes))
    scores = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    # Shards are read in their own order, which need not be the manifest's.
    positions = {row["image_id"]: position for position, row in enumerate(rows)}
    order: list[int] = []
    done = 0

    def pngs() -> Any:
        for row, png in fetch_images(store, rows):
            order.append(positions[row["image_id"]])
            yield png

    for batch in network.answers(pngs()):
        scores[order[done : done + len(batch)]] = batch
        if (done + len(batch)) * TELLINGS // len(rows) > done * TELLINGS // len(rows):
            tell({"scored": done + len(batch), "of": len(rows)})
        done += len(batch)
    scores.flush()
    return path


def measure(
    path: Path, rows: list[Row], settings: EvaluatorSettings
) -> tuple[Answers, list[str], Evaluation]:
    """Answers per row, the set each row is in, and the figures of all sets."""
    truth = np.array([truth_of(row) for row in rows], np.int64)
    answers = read_answers(np.load(path, mmap_mode="r"), truth)
    names = [set_name(row) for row in rows]
    rules = rules_for(settings.gate_limits())
    evaluation = evaluate(answers, positions_by_set(names), settings.confidence_threshold_percent, rules)
    return answers, names, evaluation


if __name__ == "__main__":
    child_main(work)
