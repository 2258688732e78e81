"""Older scorings that are lost, or by other classes, keep no new work from being done or measured."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from contracts.values import ObjectRef
from services.evaluator.artefacts import Artefacts
from services.evaluator.comparing import known_matrix
from services.evaluator.domain.answers import read_answers
from services.evaluator.domain.confused import ConfusedPairs
from services.evaluator.domain.taxonomy import unfolded
from services.evaluator.scoring.of_production import of_production
from services.evaluator.scoring.scenes import Scene
from services.evaluator.scoring.specs import Evaluating, InProduction, Known, Scoring, Stored
from services.runtime.objectstore import ObjectStore
from tests.support.colour_library import COLOURS, ColourLibrary
from tests.support.servers import S3Server

pytestmark = pytest.mark.integration

IMAGES = 4


@pytest.fixture
def object_store(weed: S3Server) -> ObjectStore:
    return weed.store()


@pytest.fixture
def library(object_store: ObjectStore, request: pytest.FixtureRequest) -> ColourLibrary:
    made = ColourLibrary(object_store, hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:20])
    made.add_class(0, "test", IMAGES)
    return made


def written(artefacts: Artefacts, path: Path, scores: NDArray[np.float32]) -> ObjectRef:
    np.save(path, scores)
    return artefacts.put_scores(path)


def stored(
    object_store: ObjectStore, library: ColourLibrary, folder: Path, images: int, right: float,
    classes: tuple[str, ...] = COLOURS,
) -> Stored:  # fmt: skip
    """A scoring of the first images, each called the first class with that score."""
    request_id = f"{library.name}-{images}-{classes[0]}"
    artefacts = Artefacts.of_evaluation(object_store, "001", request_id)
    scores = np.tile(np.array([right, 1 - right, 0.0], np.float32), (images, 1))
    answers = read_answers(scores, np.zeros(images, np.int64))
    results = artefacts.put_results(list(library.rows)[:images], ["test"] * images, answers, classes)
    report = artefacts.put_report({"results": results.model_dump(mode="json"), "classes": classes})
    return Stored(
        request_id=request_id, report=report, scores=written(artefacts, folder / "scores.npy", scores)
    )


def beside(library: ColourLibrary, folder: Path, *scorings: Stored) -> tuple[Evaluating, Scene]:
    """Model 002 on all images, beside 001 in production."""
    model = library.trained("002")
    asked = Evaluating(
        scoring=Scoring(model=model, request_id="run", folder=str(folder)), confused=ConfusedPairs(),
        ancestors=(), production=InProduction(model_version="001", scorings=scorings, ancestors=()),
    )  # fmt: skip
    return asked, Scene(model, model.dataset, list(library.rows.values()), unfolded(COLOURS))


@pytest.mark.parametrize("lost", ["report", "results", "scores"])
def test_production_is_measured_by_another_scoring_when_one_is_lost_and_by_none_when_all_are(
    lost: str, object_store: ObjectStore, library: ColourLibrary, tmp_path: Path
) -> None:
    scorings = tuple(
        stored(object_store, library, tmp_path, images, right)
        for images, right in ((IMAGES, 0.75), (IMAGES - 1, 0.5))
    )
    asked, scene = beside(library, tmp_path, *scorings)
    seen = []
    for scoring in (None, *scorings):
        if scoring is not None:
            lose(object_store, scoring, lost)
        found = of_production(object_store, asked, scene)
        assert found is not None
        seen.append((found.request_id, len(found.answers)))
    assert seen == [(scorings[0].request_id, IMAGES), (scorings[1].request_id, IMAGES - 1), (None, 0)]


def test_a_newer_scoring_by_merged_classes_does_not_hide_how_good_production_is(
    object_store: ObjectStore, library: ColourLibrary, tmp_path: Path
) -> None:
    own = stored(object_store, library, tmp_path, IMAGES, 0.75)
    merged = stored(object_store, library, tmp_path, IMAGES, 0.75, ("warm", "blue", "cold"))
    asked, scene = beside(library, tmp_path, merged, own)
    found = of_production(object_store, asked, scene)
    assert found is not None
    assert found.request_id == own.request_id
    assert np.isfinite(found.losses).all()


def lose(object_store: ObjectStore, scoring: Stored, what: str) -> None:
    named = {"report": scoring.report, "scores": scoring.scores}
    if what == "results":
        named[what] = ObjectRef.model_validate(json.loads(object_store.get(scoring.report))["results"])
    object_store.remove(named[what].bucket, named[what].key)


def test_a_comparison_scores_again_what_is_lost_and_takes_another_copy_where_there_is_one(
    object_store: ObjectStore, library: ColourLibrary, tmp_path: Path
) -> None:
    scores = np.full((IMAGES, 3), 1 / 3, np.float32)
    copies = tuple(
        Known(
            matrix="wanted",
            scores=written(
                Artefacts.of_evaluation(object_store, "001", f"{library.name}-{at}"),
                tmp_path / "m.npy",
                scores,
            ),
        )
        for at in range(2)
    )
    asked = Scoring(model=library.trained(), request_id="run", folder=str(tmp_path / "work"), known=copies)
    assert known_matrix(object_store, asked, "another") is None
    object_store.remove(copies[0].scores.bucket, copies[0].scores.key)
    path = known_matrix(object_store, asked, "wanted")
    assert path is not None
    assert np.array_equal(np.load(path), scores)
    object_store.remove(copies[1].scores.bucket, copies[1].scores.key)
    assert known_matrix(object_store, asked, "wanted") is None
