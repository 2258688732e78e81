"""What the model in production said of the same images: out of the store, nothing is scored for it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from contracts.values import ObjectRef
from services.evaluator.domain.answers import NO_CLASS, Answers, Floats, Ints, read_answers
from services.evaluator.domain.benchmarks import Column, column_of
from services.evaluator.domain.comparison import learned_by
from services.evaluator.domain.metrics.losses import PairWeights, weighted_losses
from services.evaluator.domain.production import Paired, paired_by_image
from services.evaluator.domain.sets import truth_of
from services.evaluator.domain.threshold import report_threshold
from services.evaluator.scoring.learned import units_learned
from services.evaluator.scoring.scenes import Scene
from services.evaluator.scoring.specs import Evaluating, Stored
from services.runtime.objectstore import ObjectDamaged, ObjectMissing, ObjectStore
from services.runtime.shards import Row

PRODUCTION_FILE = "production.npy"
LOST = (ObjectMissing, ObjectDamaged)


@dataclass(frozen=True)
class Found:
    """A scoring in the store: the columns of its scores, and for each row of them the scene's, or -1."""

    stored: Stored
    classes: Sequence[str]
    places: Ints

    @property
    def shared(self) -> int:
        """Images of the scene that it has."""
        return int((self.places >= 0).sum())


@dataclass(frozen=True)
class OfProduction:
    """Answers and weighted losses on the rows ``positions`` of the scene that neither model learned from.

    The truth is the scene's, by name: what was relabelled since counts as it is labelled now. An image of
    a class that production does not know has no loss (NaN), and every answer to it is wrong.
    """

    model_version: str
    request_id: str | None
    """Of the scoring; None when it has scored none of the images."""
    positions: Ints
    answers: Answers
    losses: Floats

    def paired(
        self, rows: Sequence[Row], sets: Mapping[str, Sequence[int]], truth: Ints, losses: Floats
    ) -> dict[str, Paired]:
        """By set name, beside the scene's own ``truth`` and ``losses`` per row."""
        ids = [row["image_id"] for row in rows]
        theirs = {ids[at]: float(loss) for at, loss in zip(self.positions, self.losses, strict=True)}
        return {
            name: paired_by_image(
                self.model_version, {ids[at]: (int(truth[at]), float(losses[at])) for at in places}, theirs
            )
            for name, places in sets.items()
        }

    def columns(self, names: Sequence[str], threshold_percent: float) -> dict[str, Column]:
        """Of the benchmark table, by set name."""
        of_set = np.array(names, np.str_)[self.positions]
        return {
            str(name): column_of(report_threshold(self.answers.select(of_set == name), threshold_percent))
            for name in np.unique(of_set)
        }


def of_production(store: ObjectStore, asked: Evaluating, scene: Scene) -> OfProduction | None:
    """By the stored scoring that says most of the scene's images; None without a model in production.

    One that was lost from the store is passed over: it must not keep new models from being measured.

    Raises:
        ManifestDamaged, ScoresRefused: what is in the store cannot be read.
    """
    if asked.production is None:
        return None
    version = asked.production.model_version
    looked = [
        found
        for stored in asked.production.scorings
        if (found := _look(store, stored, scene)) is not None and found.shared
    ]
    learned: frozenset[str] = frozenset()
    if looked:
        learned = units_learned(store, dict.fromkeys((*asked.ancestors, *asked.production.ancestors)))
    unseen = np.array([not learned_by(row, learned, frozenset()) for row in scene.rows], np.bool_)
    # Of equal ones the first, which is the newest.
    for found in sorted(looked, key=lambda one: -_worth(one, scene, unseen)):
        try:
            answers, losses = _answers(store, asked, scene, found)
        except LOST:
            continue
        rows = np.flatnonzero((found.places >= 0) & unseen[found.places])
        return OfProduction(
            version, found.stored.request_id, found.places[rows], answers.select(rows), losses[rows]
        )
    nothing = read_answers(np.empty((0, 1)), np.empty(0, np.int64))
    return OfProduction(version, None, np.empty(0, np.int64), nothing, np.empty(0))


def _look(store: ObjectStore, stored: Stored, scene: Scene) -> Found | None:
    """None of a scoring that is lost, or whose report is of before reports named their results."""
    try:
        report = json.loads(store.get(stored.report))
        if "results" not in report or "classes" not in report:
            return None
        results = store.get(ObjectRef.model_validate(report["results"]))
    except LOST:
        return None
    ids = pq.read_table(pa.BufferReader(results), columns=["image_id"]).column(0).to_pylist()
    place = {row["image_id"]: position for position, row in enumerate(scene.rows)}
    return Found(stored, report["classes"], np.array([place.get(one, -1) for one in ids], np.int64))


def _worth(found: Found, scene: Scene, unseen: NDArray[np.bool_]) -> int:
    """Images that can be compared: a scoring by other classes has no score of the class that one shows."""
    known, columns = set(found.classes), scene.fold.columns
    shown = [truth_of(row) for row in scene.rows]
    named = np.array([at == NO_CLASS or columns[at] in known for at in shown], np.bool_)
    there = found.places[found.places >= 0]
    return int((unseen[there] & named[there]).sum())


def _answers(store: ObjectStore, asked: Evaluating, scene: Scene, found: Found) -> tuple[Answers, Floats]:
    """One per row of the stored scores; rows of images that the scene lacks have no truth."""
    path = Path(asked.scoring.folder) / PRODUCTION_FILE
    store.get_file(found.stored.scores, path)
    scores = np.load(path, mmap_mode="r")
    index = {name: position for position, name in enumerate(found.classes)}
    columns = scene.fold.columns
    shown = [truth_of(row) for row in scene.rows]
    theirs = np.array([index.get(columns[i], NO_CLASS) if i >= 0 else NO_CLASS for i in shown], np.int64)
    answers = read_answers(scores, np.where(found.places >= 0, theirs[found.places], NO_CLASS))
    pairs = PairWeights(asked.confused.indexed(found.classes), len(found.classes))
    return answers, weighted_losses(scores, answers, pairs)
