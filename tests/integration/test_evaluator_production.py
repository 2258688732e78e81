"""A new model beside the one in production, the confused pairs and the queue: with the real child."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from contracts.commands import SetConfused
from contracts.events import GateRule, ModelRescored, ModelScored
from services.evaluator import store
from services.evaluator.review.acting import perform
from services.evaluator.review.queues import newest_queue
from services.evaluator.settings import EvaluatorSettings
from services.runtime.objectstore import ObjectStore
from tests.support.colour_library import COLOURS, NOW, ColourLibrary
from tests.support.evaluator_house import Room, rows_of
from tests.support.model_services import model_service_settings
from tests.support.servers import S3Server

pytestmark = [pytest.mark.integration, pytest.mark.models]

RED, GREEN = (255, 0, 0), (0, 255, 0)
SWAPPED = ("green", "red", "blue")
"""A model with these names calls red green, and green red."""


@pytest.fixture
async def room(weed: S3Server, tmp_path: Path) -> AsyncIterator[Room]:
    url = f"sqlite:///{tmp_path}/evaluator.sqlite"
    made = Room(EvaluatorSettings(**model_service_settings("evaluator", weed, url, tmp_path / "work")))
    yield made
    made.database.close()


@pytest.fixture
def object_store(weed: S3Server) -> ObjectStore:
    """Of the one server that the children read from too."""
    return weed.store()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:20]


def library_of(
    object_store: ObjectStore, name: str, classes: tuple[str, ...], learned: int, images: int = 40
) -> ColourLibrary:
    """So many red images, the first of them learned from; the same pictures each time, as ``classes`` has it."""
    library = ColourLibrary(object_store, name)
    for number in range(images):
        library.add(
            RED, side="train" if number < learned else "test", label="red", label_kind="class",
            class_name="red", class_index=classes.index("red"),
        )  # fmt: skip
    return library


async def report_of(object_store: ObjectStore, scored: ModelScored) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(await asyncio.to_thread(object_store.get, scored.report))
    return document


def beside_production(scored: ModelScored) -> GateRule:
    (rule,) = [one for one in scored.gate.rules if one.rule == "not-worse-than-production"]
    return rule


async def test_a_planted_regression_is_a_no_go_in_words_and_only_of_images_that_production_never_saw(
    room: Room, object_store: ObjectStore, name: str
) -> None:
    good = library_of(object_store, f"{name}-good", COLOURS, learned=3)
    worse = library_of(object_store, f"{name}-worse", SWAPPED, learned=0)
    await room.hear(good.trained("001"))
    for _ in range(2):
        await room.hear(good.exported("001"))
    await room.hear(worse.trained("002", classes=SWAPPED))

    first, second = await room.told(ModelScored)
    assert beside_production(first).passed is None
    assert "No model is in production yet" in beside_production(first).sentence
    rule = beside_production(second)
    assert (second.gate.verdict, rule.passed) == ("no-go", False)
    assert rule.sentence.startswith('On the 37 images of the set "test" that both have scored')
    assert "model 001 in production" in rule.sentence
    assert rule.sentence.endswith('It got worse most of all on "red" (37 images).')
    document = await report_of(object_store, second)
    assert document["production"] == {
        "model_version": "001", "request_id": "run-001", "images": {"test": 37},
    }  # fmt: skip
    shares = {
        row["figure"]: (row["model"], row["production"], row["better"])
        for row in document["benchmarks"]
        if row["figure"].endswith("positives_above")
    }
    assert shares == {
        "true_positives_above": (0.0, 1.0, False),
        "false_positives_above": (1.0, 0.0, False),
    }


async def test_the_model_in_production_is_the_one_that_was_exported_last_and_never_the_model_itself(
    room: Room, object_store: ObjectStore, name: str
) -> None:
    library = library_of(object_store, name, COLOURS, learned=0, images=1)
    assert await room.database.read(lambda c: store.in_production(c, "001")) is None
    await room.hear(library.exported("002", exported_at=NOW + timedelta(hours=1)))
    await room.hear(library.exported("001"))
    beside = {
        version: await room.database.read(lambda c, version=version: store.in_production(c, version))  # type: ignore[misc]
        for version in ("001", "002", "003")
    }
    assert beside == {"001": "002", "002": "001", "003": "002"}


async def test_scorings_by_other_classes_never_crowd_out_the_models_own(
    room: Room, object_store: ObjectStore, name: str
) -> None:
    trained = library_of(object_store, name, COLOURS, learned=0, images=1).trained()
    told: dict[str, Any] = {
        "model_version": "001", "threshold": 95.0, "sets": [], "gate": {"verdict": "go", "rules": []},
        "report": trained.model, "scores": trained.model,
    }  # fmt: skip
    merged = {"taxonomy_version": 3, "dataset_of": "001", "classes": [], "unknown_classes": []}
    own = ModelScored.model_validate(told | {"request_id": "own", "scored_at": NOW})
    await room.database.run(lambda unit: store.record_scoring(unit, own))
    for hour in range(1, 4):
        other = ModelRescored.model_validate(
            told | merged | {"request_id": f"merged-{hour}", "scored_at": NOW + timedelta(hours=hour)}
        )
        await room.database.run(lambda unit, other=other: store.record_scoring(unit, other))  # type: ignore[misc]
    for limit, expected in (
        (1, ["own"]),
        (2, ["merged-3", "own"]),
        (9, ["merged-3", "merged-2", "merged-1", "own"]),
    ):
        rows = await room.database.read(lambda c, limit=limit: store.newest_scorings(c, "001", limit))  # type: ignore[misc]
        assert [row["request_id"] for row in rows] == expected


async def test_a_production_model_that_scored_other_images_shows_nothing_and_says_what_to_do(
    room: Room, object_store: ObjectStore, name: str
) -> None:
    theirs = library_of(object_store, f"{name}-theirs", COLOURS, learned=0, images=2)
    ours = ColourLibrary(object_store, f"{name}-ours")
    ours.add_class(1, "test", 2)
    await room.hear(theirs.trained("001"))
    await room.hear(theirs.exported("001"))
    await room.hear(theirs.exported("404"))
    await room.hear(ours.trained("002"))

    scored = (await room.told(ModelScored))[-1]
    rule = beside_production(scored)
    assert (scored.gate.verdict, rule.passed) == ("go", None)
    assert rule.sentence.startswith('Only 0 images of the set "test" were scored by this model')
    document = await report_of(object_store, scored)
    assert document["production"] == {"model_version": "404", "request_id": None, "images": {"test": 0}}
    assert {row["production"] for row in document["benchmarks"]} == {None}


async def test_confused_pairs_weigh_the_losses_and_the_report_names_their_version_and_the_queue_follows(
    room: Room, object_store: ObjectStore, name: str
) -> None:
    library = library_of(object_store, name, COLOURS, learned=2, images=8)
    wrong = library.add(
        GREEN, side="test", label="red", label_kind="class", class_name="red", class_index=0, source="staged"
    )
    library.add((0, 0, 255), side="benchmark", benchmark="Out of scope", label="popcorn")
    for number, other in enumerate(("green", "zebra")):
        command = SetConfused(
            request_id=f"confused-{number}", one="red", other=other, weight=0.25, by="ann", requested_at=NOW
        )
        await room.database.run(lambda unit, command=command: perform(unit, command, NOW))  # type: ignore[misc]
    await room.hear(library.trained())

    (scored,) = await room.told(ModelScored)
    test = next(one for one in scored.sets if one.name == "test")
    assert test.log_loss is not None
    assert test.weighted_log_loss is not None
    assert 0 < test.weighted_log_loss < test.log_loss
    document = await report_of(object_store, scored)
    assert document["confused_pairs"] == {"version": 2, "missing": [["red", "zebra"]]}
    assert document["production"] is None
    (of_test,) = [one for one in document["sets"] if one["name"] == "test"]
    assert of_test["weighted_log_loss"] == test.weighted_log_loss
    assert [(part["name"], part["accuracy"]) for part in of_test["per_source"]] == [
        ("real", 1.0),
        ("staged", 0.0),
    ]
    assert of_test["roc_auc_macro"] is None  # all of one class: nothing to rank it against
    stored = await room.database.read(newest_queue)
    assert (stored.model_version, stored.file) == ("001", scored.queue)
    rows = await asyncio.to_thread(rows_of, object_store, stored.file)
    assert len(rows) == 9  # popcorn has no label of the model's
    assert (rows[0]["image_id"], rows[0]["label"], rows[0]["other"]) == (wrong, "red", "green")
