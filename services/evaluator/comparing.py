"""The comparing child: ``python -m services.evaluator.comparing``. What one model fixes and breaks.

Both models are scored on the same images under the same classes; a matrix that is in the store already is
taken from there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from services.evaluator.artefacts import SCORES_FILE, Artefacts
from services.evaluator.domain.answers import Answers, ScoresRefused, read_answers
from services.evaluator.domain.comparison import (
    Answer,
    ComparedImage,
    Tally,
    by_class,
    by_set,
    learned_by,
    tally,
)
from services.evaluator.domain.sets import set_name, truth_of
from services.evaluator.scoring.learned import units_learned
from services.evaluator.scoring.running import score_images
from services.evaluator.scoring.scenes import Scene, scene_of
from services.evaluator.scoring.specs import Comparing, Scoring
from services.evaluator.settings import EvaluatorSettings
from services.runtime.child import ChildFailed, child_main
from services.runtime.model_archive import ModelRefused
from services.runtime.objectstore import ObjectDamaged, ObjectMissing, ObjectStore
from services.runtime.shards import ManifestDamaged

Tell = Callable[[dict[str, Any]], None]
CLASSES_LISTED = 50
"""Classes with the largest differences in the summary; the images themselves are all in the report."""


def work(spec: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Compare the models of ``spec``; returns the fields of ModelsCompared that come from it."""
    settings = EvaluatorSettings()
    store = ObjectStore(settings)
    asked = Comparing.model_validate(spec)
    try:
        scene_a, answers_a = _answers(store, asked.a, settings, tell)
        scene_b, answers_b = _answers(store, asked.b, settings, tell)
        learned_a = units_learned(store, asked.ancestors_a)
        learned_b = units_learned(store, asked.ancestors_b)
    except (ManifestDamaged, ModelRefused, ScoresRefused) as error:
        raise ChildFailed(str(error), "Train the model again; if it happens again, report a bug.") from error
    said = zip(scene_a.rows, _named(scene_a, answers_a), _named(scene_b, answers_b), strict=True)
    images = [
        ComparedImage(
            row["image_id"], set_name(row), _truth(scene_a, scene_b, place), a, b,
            learned_by(row, learned_a, learned_b),
        )
        for place, (row, a, b) in enumerate(said)
    ]  # fmt: skip
    return _told(store, asked, scene_a, scene_b, images)


def _answers(
    store: ObjectStore, asked: Scoring, settings: EvaluatorSettings, tell: Tell
) -> tuple[Scene, Answers]:
    scene, folder = scene_of(store, asked.model, asked.under), Path(asked.folder)
    precision = settings.scores_precision
    path = known_matrix(store, asked, scene.matrix_id(precision)) or score_images(
        store, scene, folder, tell, precision=precision, keep_every_s=settings.scoring_keep_every_s
    )
    truth = np.array([truth_of(row) for row in scene.rows], np.int64)
    return scene, read_answers(np.load(path, mmap_mode="r"), truth)


def known_matrix(store: ObjectStore, asked: Scoring, wanted: str) -> Path | None:
    """The matrix, when it was scored before; what is lost from the store is scored again."""
    for matrix in asked.known:
        if matrix.matrix == wanted:
            path = Path(asked.folder) / f"known-{SCORES_FILE}"
            try:
                store.get_file(matrix.scores, path)
            except (ObjectMissing, ObjectDamaged):
                continue
            return path
    return None


def _named(scene: Scene, answers: Answers) -> list[Answer]:
    return [
        Answer(scene.fold.columns[predicted], float(confidence), bool(truth >= 0))
        for predicted, confidence, truth in zip(
            answers.predicted, answers.confidence, answers.truth, strict=True
        )
    ]


def _truth(a: Scene, b: Scene, place: int) -> str | None:
    """The class that the image shows; None where no class of either model's does."""
    knows = truth_of(a.rows[place]) >= 0 or truth_of(b.rows[place]) >= 0
    return str(a.rows[place]["class_name"]) if knows else None


def _told(
    store: ObjectStore, asked: Comparing, a: Scene, b: Scene, images: Sequence[ComparedImage]
) -> dict[str, Any]:
    """Writes the files; returns what the parent tells."""
    artefacts = Artefacts.of_comparison(store, asked.request_id)
    all_sets = tally(images)
    told = {
        **_counts(all_sets),
        "accuracy_a": all_sets.accuracy_a,
        "accuracy_b": all_sets.accuracy_b,
        "p_value": all_sets.p_value,
        "learned_from": sum(bool(image.learned_by) for image in images),
        "nobodys": sum(not image.learned_by and not image.somebodys for image in images),
        "sets": [{"name": name, **_counts(counts)} for name, counts in by_set(images).items()],
        "report": artefacts.put_comparison(images).model_dump(mode="json"),
    }
    summary = told | {
        "model_a": asked.a.model.model_version,
        "model_b": asked.b.model.model_version,
        "classes_only_a": sorted(set(a.fold.column_of()) - set(b.fold.column_of())),
        "classes_only_b": sorted(set(b.fold.column_of()) - set(a.fold.column_of())),
        "undivided_a": list(a.fold.undivided),
        "undivided_b": list(b.fold.undivided),
        "classes": [
            {"class_name": name, "fixed": fixed, "broken": broken}
            for name, fixed, broken in by_class(images)[:CLASSES_LISTED]
        ],
    }
    return told | {"summary": artefacts.put_summary(summary).model_dump(mode="json")}


def _counts(counts: Tally) -> dict[str, int]:
    return {"images": counts.images, **asdict(counts)}


if __name__ == "__main__":
    child_main(work)
