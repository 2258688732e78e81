"""An old model under classes that came after it: the figures are those computed by hand."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from contracts.events import ModelRescored, ModelScored
from contracts.taxonomy import Merge, Rename
from services.evaluator import store
from services.evaluator.handlers.library import NotYet
from services.evaluator.settings import EvaluatorSettings
from services.runtime.delivery import Unprocessable
from services.runtime.objectstore import ObjectStore
from tests.support.colour_library import ColourLibrary
from tests.support.colour_model import colour_scores
from tests.support.evaluator_house import Room, evaluation_of, matrix_of, rows_of, versions
from tests.support.model_services import model_service_settings
from tests.support.servers import S3Server

pytestmark = [pytest.mark.integration, pytest.mark.models]

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


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
def library(object_store: ObjectStore, request: pytest.FixtureRequest) -> ColourLibrary:
    return ColourLibrary(object_store, hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:20])


def add(
    library: ColourLibrary,
    colour: tuple[int, int, int],
    label: str,
    *,
    kind: str = "class",
    side: str = "test",
) -> str:
    """An image as the old model's data set has it: classes red, green, blue."""
    is_known = kind == "class" and label in {"red", "green", "blue"}
    index = ("red", "green", "blue").index(label) if is_known else -1
    return library.add(
        colour, side=side, label=label, label_kind=kind, class_index=index,
        class_name=label if index >= 0 else None, benchmark="difficult" if side == "benchmark" else None,
    )  # fmt: skip


async def test_an_old_model_under_a_merged_taxonomy_has_the_figures_computed_by_hand(
    room: Room, library: ColourLibrary, object_store: ObjectStore
) -> None:
    """Red and green become "warm", blue and purple "cold", and crimson is renamed to something unknown."""
    add(library, RED, "red", side="train")
    for colour in (RED, (120, 200, 0), (200, 120, 0), (0, 90, 255)):
        add(library, colour, "red")  # answers: warm, warm, warm, cold
    add(library, (200, 100, 0), "green")  # called red by its own classes, warm by these
    add(library, BLUE, "blue")
    purple = add(
        library, (90, 0, 200), "purple", side="benchmark"
    )  # the model never learned it; cold it knows
    crimson = add(library, RED, "crimson", side="benchmark")  # a class that no class of the model is part of
    doubt = add(library, RED, "red", kind="unknown", side="benchmark")  # no class, whatever it is called
    changes = (
        Merge(into="warm", members=("red", "green")), Merge(into="cold", members=("blue", "purple")),
        Rename(old="crimson", new="maroon"),
    )  # fmt: skip
    for message in (library.packed(taxonomy_version=0), *versions(*changes)):
        await room.hear(message)
    trained = library.trained()
    await room.database.run(lambda unit: store.record_model(unit, trained))

    await room.hear(evaluation_of("001", taxonomy_version=3))
    await room.hear(evaluation_of("001", taxonomy_version=3))

    (scored,) = await room.told(ModelRescored)
    assert await room.told(ModelScored) == []
    assert (scored.taxonomy_version, scored.dataset_of, scored.classes) == (3, "001", ("cold", "warm"))
    assert (scored.unknown_classes, scored.undivided_classes) == (("maroon",), ())
    matrix = matrix_of(object_store, scored.scores)
    ids = sorted(library.rows)
    own = colour_scores(np.stack([library.pixels[image_id] for image_id in ids]), 3)
    by_hand = np.stack([own[:, 2], own[:, 0] + own[:, 1]], axis=1)
    np.testing.assert_allclose(matrix, by_hand, atol=1e-6)
    sets = {one.name: one for one in scored.sets}
    assert {name: one.images for name, one in sets.items()} == {
        "train": 1, "validation": 0, "test": 6, "difficult": 3,
    }  # fmt: skip
    assert sets["test"].accuracy == 5 / 6
    truths = [1 if library.rows[image_id]["label"] in {"red", "green"} else 0 for image_id in ids]
    lost = [
        -math.log(by_hand[place, truths[place]])
        for place, image_id in enumerate(ids)
        if library.rows[image_id]["side"] == "test"
    ]
    assert sets["test"].log_loss == pytest.approx(np.mean(lost), abs=1e-5)
    assert sets["difficult"].accuracy == 1.0  # of purple; the other two show none of the model's classes
    document = json.loads(await asyncio.to_thread(object_store.get, scored.report))
    rows = {
        row["image_id"]: row
        for row in rows_of(object_store, scored.scores.model_copy(update=document["results"]))
    }
    assert [rows[image_id]["truth"] for image_id in (purple, crimson, doubt)] == ["cold", None, None]
    assert rows[crimson]["predicted"] == "warm"
    assert not list(room.settings.work_dir.glob("*"))


async def test_a_version_or_snapshot_that_was_not_heard_of_yet_is_tried_again(
    room: Room, library: ColourLibrary
) -> None:
    add(library, RED, "red")
    trained, packed = library.trained(), library.packed(taxonomy_version=0)
    await room.database.run(lambda unit: store.record_model(unit, trained))
    with pytest.raises(NotYet, match=f"snapshot {library.name} was not heard of"):
        await room.hear(evaluation_of("001", taxonomy_version=0))
    await room.hear(packed)
    first, second, third = versions(*[Merge(into=name, members=("red",)) for name in "abc"])
    for message in (third, first):
        await room.hear(message)
    with pytest.raises(NotYet, match=r"version 3 of the taxonomy was not heard of.*; the newest is 1"):
        await room.hear(evaluation_of("001", taxonomy_version=3))
    await room.hear(second)
    taxonomy = await room.database.read(store.taxonomy)
    assert taxonomy.version == 3


async def test_images_of_another_size_are_refused_in_a_sentence(room: Room, library: ColourLibrary) -> None:
    add(library, RED, "red")
    small, large = library.trained("001"), library.trained("002", image_size_px=16)
    for trained in (small, large):
        await room.database.run(lambda unit, trained=trained: store.record_model(unit, trained))  # type: ignore[misc]
    with pytest.raises(
        Unprocessable, match="model 001 takes images of 8 px, and the data set of model 002 has 16"
    ):
        await room.hear(evaluation_of("001", dataset_of="002"))
