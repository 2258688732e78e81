"""Two models on the same images, with their real children."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contracts.events import ModelsCompared, ModelScored, ScoringProgressed
from services.evaluator import store
from services.evaluator.domain.comparison import exact_mcnemar
from services.evaluator.settings import EvaluatorSettings
from services.runtime.delivery import Postponed, Unprocessable
from services.runtime.objectstore import ObjectStore
from tests.support.colour_library import ColourLibrary
from tests.support.evaluator_house import Room, comparison_of, rows_of
from tests.support.model_services import model_service_settings
from tests.support.servers import S3Server

pytestmark = [pytest.mark.integration, pytest.mark.models]

RED, GREEN = (255, 0, 0), (0, 255, 0)
OF_A = ("blue", "red", "green")
"""What model a calls the channels; model b calls them in the order of their names."""
OF_B = ("blue", "green", "red")


@pytest.fixture
async def room(weed: S3Server, tmp_path: Path) -> AsyncIterator[Room]:
    url = f"sqlite:///{tmp_path}/evaluator.sqlite"
    values = model_service_settings("evaluator", weed, url, tmp_path / "work")
    made = Room(EvaluatorSettings(**values, scoring_tell_every_s=0))
    yield made
    made.database.close()


@pytest.fixture
def object_store(weed: S3Server) -> ObjectStore:
    """Of the one server that the children read from too."""
    return weed.store()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:20]


def add(
    library: ColourLibrary, classes: tuple[str, ...], colour: tuple[int, int, int], label: str,
    side: str = "test", benchmark: str | None = None, kind: str = "class",
) -> str:  # fmt: skip
    """An image as the data set of a model with these classes has it."""
    known = label in classes and kind == "class"
    return library.add(
        colour, side=side, label=label, label_kind=kind, benchmark=benchmark,
        class_index=classes.index(label) if known else -1, class_name=label if known else None,
    )  # fmt: skip


async def test_fixed_and_broken_images_are_counted_where_neither_model_has_learned_from_them(
    room: Room, object_store: ObjectStore, name: str
) -> None:
    base, library_a, library_b = (ColourLibrary(object_store, f"{name}-{which}") for which in "0ab")
    # The same pictures have the same number, colour and hence the same id in all three.
    add(library_a, OF_A, RED, "blue", side="validation")
    for side in ("out", "train"):
        add(base, OF_A, RED, "blue", side=side)
    learned_a = add(library_b, OF_B, RED, "blue")
    learned_base = add(library_b, OF_B, RED, "blue")
    right = add(library_b, OF_B, RED, "blue")
    fixed = [add(library_b, OF_B, GREEN, "green") for _ in range(3)]
    broken = add(library_b, OF_B, GREEN, "red")
    wrong = add(library_b, OF_B, RED, "red", "benchmark", "difficult")
    popcorn = add(library_b, OF_B, RED, "popcorn", "benchmark", "Out of scope", "out-of-scope")
    zebra = add(library_b, OF_B, RED, "zebra", "benchmark", "difficult")
    learned_b = add(library_b, OF_B, GREEN, "green", "train")
    older = base.trained("000", classes=OF_A)
    a = library_a.trained("001", classes=OF_A, base_version="000")
    b = library_b.trained("002", classes=OF_B)
    for trained in (older, a):
        await room.database.run(lambda unit, trained=trained: store.record_model(unit, trained))  # type: ignore[misc]
    for library in (library_a, library_b):
        await room.hear(library.packed(taxonomy_version=0))
    await room.hear(b)
    (scored,) = await room.told(ModelScored)

    await room.hear(comparison_of("001", "002"))
    await room.hear(comparison_of("001", "002"))

    (compared,) = await room.told(ModelsCompared)
    assert (compared.model_a, compared.model_b, compared.dataset_of) == ("001", "002", "002")
    assert (compared.images, compared.both_right, compared.fixed, compared.broken, compared.both_wrong) == (
        6, 1, 3, 1, 1,
    )  # fmt: skip
    assert (compared.accuracy_a, compared.accuracy_b) == (2 / 6, 4 / 6)
    assert compared.p_value == pytest.approx(exact_mcnemar(3, 1)) == pytest.approx(0.625)
    assert (compared.learned_from, compared.nobodys, compared.taxonomy_version) == (3, 2, 0)
    assert [(one.name, one.images, one.both_wrong) for one in compared.sets] == [
        ("difficult", 1, 1),
        ("test", 5, 0),
    ]
    rows = {row["image_id"]: row for row in await asyncio.to_thread(rows_of, object_store, compared.report)}
    changes = {
        learned_a: ("both-right", "a"), learned_base: ("both-right", "a"), right: ("both-right", ""),
        **dict.fromkeys(fixed, ("fixed", "")), broken: ("broken", ""), wrong: ("both-wrong", ""),
        popcorn: ("both-wrong", ""), zebra: ("both-wrong", ""), learned_b: ("fixed", "b"),
    }  # fmt: skip
    assert {image_id: (row["change"], row["learned_by"]) for image_id, row in rows.items()} == changes
    assert [image_id for image_id, row in rows.items() if row["counted"]] == sorted(
        [right, *fixed, broken, wrong]
    )
    assert (rows[broken]["truth"], rows[broken]["a_predicted"], rows[broken]["b_predicted"]) == (
        "red", "red", "green",
    )  # fmt: skip
    assert rows[zebra]["truth"] is None
    summary = json.loads(await asyncio.to_thread(object_store.get, compared.summary))
    assert summary["classes"][0] == {"class_name": "green", "fixed": 3, "broken": 0}
    # Model b was scored on these images before: its matrix came out of the store.
    matrices = await room.database.read(lambda c: store.known_matrices(c, "002"))
    assert [scores for _, scores in matrices] == [scored.scores]
    assert {one.model_version for one in await room.told(ScoringProgressed)} <= {"001"}
    assert not list(room.settings.work_dir.glob("*"))


async def test_a_model_that_was_never_trained_is_named(room: Room) -> None:
    with pytest.raises(Unprocessable, match="model 001 was never trained here"):
        await room.hear(comparison_of("001", "002"))


async def test_a_comparison_that_another_evaluator_has_in_hand_is_postponed(room: Room) -> None:
    await room.database.run(lambda unit: store.take(unit, "comparison compare-01", "another", 60.0))
    with pytest.raises(Postponed, match="another evaluator is at comparison compare-01"):
        await room.hear(comparison_of("001", "002"))
    await room.database.run(lambda unit: store.release(unit, "comparison compare-01", "another"))
    with pytest.raises(Unprocessable):
        await room.hear(comparison_of("001", "002"))
