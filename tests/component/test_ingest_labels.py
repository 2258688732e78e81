"""Labels: set by people and uploaders, in groups, beside what a model offered, and taken back."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from contracts.commands import AssignLabel, AssignLabels, GiveOpinion, RenameClass, UndoLabels
from contracts.events import BulkIdentified, ImageLabelled, ImageRelabelled, ImageUnlabelled
from contracts.values import LabelKind
from services.ingest.domain.faults import ActionRefused, ImageNotYetKnown
from services.ingest.store import uploads as upload_rows
from services.ingest.store.tables import label_change, suggestion
from services.runtime.delivery import Unprocessable
from tests.support.ingest_house import AT, House, deliveries
from tests.support.label_desk import ask, hear, of_kind, outcome, stock
from tests.support.pictures import encoded, noise

NOWHERE = "f" * 64


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(f"sqlite:///{tmp_path}/ingest.sqlite", tmp_path / "work")
    yield made
    made.close()


async def labels(house: House) -> list[tuple[str | None, str | None]]:
    return [(row["label"], row["label_kind"]) for row in await house.rows()]


def identified(version: str, later_s: int = 0, **found: str) -> BulkIdentified:
    """A page in which a model says one label of each image (``found``: label by image id)."""
    results = [{"image_id": i, "top": [{"label": label, "confidence": 60.0}]} for i, label in found.items()]
    return BulkIdentified(
        run_id=f"run-{version}-{later_s}", page=1, model_version=version, results=results,
        identified_at=AT + timedelta(seconds=later_s),
    )  # fmt: skip


async def offers(house: House) -> dict[str, tuple[str, str]]:
    """Model version and best label by image."""
    return {
        row["image_id"]: (row["model_version"], row["top"][0]["label"])
        for row in await house.rows(suggestion)
    }


async def test_labels_are_told_first_as_labelled_then_as_relabelled_and_the_history_stays(
    house: House,
) -> None:
    [image_id] = await stock(house, 1)
    await hear(
        house,
        ask(AssignLabel, "request-1", image_id=image_id, label="Unknown Bird"),
        ask(AssignLabel, "request-2", image_id=image_id, label="lion", reason="it roars", change_id="lions"),
    )
    said = await house.said()
    [first], [second] = of_kind(said, ImageLabelled), of_kind(said, ImageRelabelled)
    assert (first.revision, first.label, first.kind, first.change_id) == (
        1, "Unknown Bird", LabelKind.UNKNOWN, "request-1",
    )  # fmt: skip
    assert (second.revision, second.label, second.previous_label) == (2, "lion", "Unknown Bird")
    assert (second.reason, second.change_id) == ("it roars", "lions")
    kept = [
        (r["previous_label"], r["previous_kind"], r["label"], r["label_kind"], r["change_id"])
        for r in await house.rows(label_change)
    ]
    assert kept == [
        (None, None, "Unknown Bird", "unknown", "request-1"),
        ("Unknown Bird", "unknown", "lion", "class", "lions"),
    ]


async def test_a_request_heard_again_is_one_change_even_after_another(house: House) -> None:
    [image_id] = await stock(house, 1, label="otter")
    same = ask(AssignLabel, "request-1", image_id=image_id, label="otter")
    other = ask(AssignLabel, "request-2", image_id=image_id, label="lion")
    for request in (same, other, same, other, same):
        await hear(house, request)
    assert await house.history() == [(None, "otter"), ("otter", "lion")]
    assert (await house.told())["image.relabelled"] == 1


async def test_a_request_id_is_of_one_command_only(house: House) -> None:
    [image_id] = await stock(house, 1)
    await hear(house, ask(AssignLabel, "request-1", image_id=image_id, label="otter"))
    with pytest.raises(Unprocessable, match=r"request-1.*label\.assign"):
        await hear(house, ask(UndoLabels, "request-1", change_id="request-1"))


async def test_a_kind_that_a_person_names_is_kept(house: House) -> None:
    ids = await stock(house, 3)
    kinds = (LabelKind.UNKNOWN, LabelKind.OUT_OF_SCOPE, LabelKind.REJECTED)
    for image_id, kind in zip(ids, kinds, strict=True):
        await hear(house, ask(AssignLabel, f"of-{kind}", image_id=image_id, label="grey thing\0", kind=kind))
    assert await labels(house) == [("grey thing\N{REPLACEMENT CHARACTER}", kind) for kind in kinds]


async def test_a_label_for_an_image_that_nobody_uploaded_can_never_succeed(house: House) -> None:
    [image_id] = await stock(house, 1)
    known = ask(AssignLabel, "request-1", image_id=image_id, label="otter")
    with pytest.raises(Unprocessable, match=NOWHERE):
        await hear(house, known, ask(AssignLabel, "request-2", image_id=NOWHERE, label="lion"))
    assert await house.history() == []


async def test_many_images_get_one_label_or_none_does(house: House) -> None:
    ids = await stock(house, 3, label="otter")
    many = ask(AssignLabels, "request-1", image_ids=[*ids, NOWHERE], label="lion")
    with pytest.raises(ActionRefused, match=NOWHERE):
        await outcome(house, many)
    assert await labels(house) == [("otter", "class")] * 3
    # A lost answer is asked for again, with the mistake mended it is another request.
    twice = ask(AssignLabels, "request-2", image_ids=[*ids, ids[0]], label="lion")
    for _ in range(2):
        assert await outcome(house, twice) == {"changed": 3}
    assert await outcome(house, ask(AssignLabels, "request-3", image_ids=ids, label="lion")) == {"changed": 0}
    assert {m.change_id for m in of_kind(await house.said(), ImageRelabelled)} == {"request-2"}
    assert len(await house.history()) == 6


async def test_an_image_that_still_waits_to_be_decoded_is_labelled_later(house: House) -> None:
    [image_id] = await stock(house, 1)
    waiting = house.put("upload-9999", encoded(noise(9, 9, 99)))
    await house.database.run(lambda unit: upload_rows.add_uploads(unit.connection, [waiting]))
    request = ask(AssignLabels, "request-1", image_ids=[image_id, waiting.object.sha256], label="lion")
    with pytest.raises(ImageNotYetKnown, match=waiting.object.sha256):
        await hear(house, request)
    await house.take(waiting)
    await hear(house, request)
    assert await labels(house) == [("lion", "class")] * 2


async def test_an_uploaders_label_has_its_kind_and_can_be_undone_by_its_upload(house: House) -> None:
    ids = await stock(house, 2, label="popcorn", label_kind=LabelKind.OUT_OF_SCOPE, uploaded_by="zoo app")
    assert await labels(house) == [("popcorn", "out-of-scope")] * 2
    assert {m.by for m in of_kind(await house.said(), ImageLabelled)} == {"zoo app"}
    undo = ask(UndoLabels, "request-1", change_id="upload-0000")
    assert await outcome(house, undo) == {"changed": 1, "left": 0}
    assert sorted(await labels(house), key=str) == [("popcorn", "out-of-scope"), (None, None)]
    # Somebody took the label away: a further copy does not put it back.
    copy = house.put("upload-0009", encoded(noise(9, 9, 0)), label="popcorn")
    await house.take(copy)
    [gone] = [row for row in await house.rows() if row["label"] is None]
    assert (gone["image_id"], gone["label_revision"]) == (copy.object.sha256, 2)
    assert gone["image_id"] in ids


async def test_an_undo_brings_back_what_was_and_leaves_what_changed_since(house: House) -> None:
    ids = await stock(house, 3)
    first, second, third = ids
    await hear(
        house,
        ask(AssignLabel, "request-1", image_id=first, label="grey thing", kind=LabelKind.UNKNOWN),
        ask(AssignLabels, "request-2", image_ids=ids, label="lion"),
        ask(AssignLabel, "request-3", image_id=third, label="otter"),
    )
    undo = ask(UndoLabels, "request-4", change_id="request-2", by="bob")
    for _ in range(2):
        assert await outcome(house, undo) == {"changed": 2, "left": 1}
    assert await labels(house) == [("grey thing", "unknown"), (None, None), ("otter", "class")]
    said = await house.said()
    [back], [gone] = of_kind(said, ImageRelabelled)[-1:], of_kind(said, ImageUnlabelled)
    assert (back.image_id, back.revision, back.previous_label, back.label, back.by) == (
        first, 3, "lion", "grey thing", "bob",
    )  # fmt: skip
    assert (gone.image_id, gone.revision, gone.previous_label) == (second, 2, "lion")
    assert back.reason == gone.reason == "undo of request-2"
    assert back.change_id == gone.change_id == "request-4"


async def test_an_undo_can_be_undone(house: House) -> None:
    ids = await stock(house, 2)
    await hear(
        house,
        ask(AssignLabels, "request-1", image_ids=ids, label="lion"),
        ask(UndoLabels, "request-2", change_id="request-1"),
    )
    assert await labels(house) == [(None, None)] * 2
    redo = ask(UndoLabels, "request-3", change_id="request-2", reason="it was right")
    assert await outcome(house, redo) == {"changed": 2, "left": 0}
    assert await labels(house) == [("lion", "class")] * 2
    # There was no label before, so it is a first one again; its revision goes on counting.
    again = of_kind(await house.said(), ImageLabelled)[2:]
    assert [(m.revision, m.reason) for m in again] == [(3, "it was right")] * 2
    assert await outcome(house, ask(UndoLabels, "request-4", change_id="request-1")) == {
        "changed": 0, "left": 2,
    }  # fmt: skip


async def test_an_undo_of_what_nobody_changed_is_refused(house: House) -> None:
    with pytest.raises(ActionRefused, match="request-7") as refused:
        await outcome(house, ask(UndoLabels, "request-1", change_id="request-7"))
    assert refused.value.status == 404
    with pytest.raises(Unprocessable, match="request-7"):
        await hear(house, ask(UndoLabels, "request-1", change_id="request-7"))


async def test_the_newest_models_suggestion_is_kept_in_any_order(house: House) -> None:
    ids = await stock(house, 2)
    pages = [
        identified("009", **{ids[0]: "lynx", NOWHERE: "ghost"}),
        identified("999", **{ids[0]: "otter"}),
        identified("1000", **{ids[0]: "lion", ids[1]: "lion"}),
        identified("1000", 5, **{ids[0]: "tiger"}),
        identified("998", 9, **{ids[1]: "otter"}),
    ]
    chance = random.Random(7)
    for _ in range(6):
        await house.handlers.suggestions(deliveries(chance.choices(pages, k=3)))
    await house.handlers.suggestions(deliveries(chance.sample(pages, len(pages))))
    assert await offers(house) == {ids[0]: ("1000", "tiger"), ids[1]: ("1000", "lion")}


async def test_what_a_model_offered_is_kept_beside_what_the_person_chose(house: House) -> None:
    ids = await stock(house, 4)
    page = identified("007", **dict.fromkeys(ids[:3], "lynx"))
    await house.handlers.suggestions(deliveries([page]))
    shown = {"model_version": "006", "top": [{"label": "puma", "confidence": 51.5}]}
    await hear(
        house,
        ask(AssignLabels, "request-1", image_ids=ids[1:], label="lion"),
        ask(AssignLabel, "request-2", image_id=ids[0], label="lion", suggestion=shown),
    )
    await hear(house, ask(UndoLabels, "request-3", change_id="request-1"))
    offered = {"model_version": "007", "top": [{"label": "lynx", "confidence": 60.0}]}
    kept: dict[str, list[Any]] = {image_id: [] for image_id in ids}
    for row in await house.rows(label_change):
        kept[row["image_id"]].append(row["suggestion"])
    assert list(kept.values()) == [[shown], [offered, None], [offered, None], [None, None]]
    told = {m.image_id: m.suggestion for m in of_kind(await house.said(), ImageLabelled)}
    assert {i: s and s.model_dump(mode="json") for i, s in told.items()} == {
        i: rows[0] for i, rows in kept.items()
    }


async def test_a_former_name_is_understood_wherever_a_label_is_said(house: House) -> None:
    ids = await stock(house, 3, label="chimp")
    await hear(
        house,
        ask(AssignLabel, "request-1", image_id=ids[0], label="lion"),
        ask(RenameClass, "request-2", old="chimp", new="ape/chimp"),
        ask(AssignLabel, "request-3", image_id=ids[0], label="chimp/juvenile"),
        ask(AssignLabels, "request-4", image_ids=ids[1:], label="chimp"),
    )
    said = await outcome(house, ask(GiveOpinion, "request-5", image_id=ids[1], label="chimp", by="bob"))
    assert said == {"agrees": True, "current_label": "ape/chimp"}
    late = house.put("upload-9999", encoded(noise(9, 9, 99)), label="chimp")
    await house.take(late)
    found = {row["image_id"]: row["label"] for row in await house.rows()}
    assert found == {
        ids[0]: "ape/chimp/juvenile", ids[1]: "ape/chimp", ids[2]: "ape/chimp", late.object.sha256: "ape/chimp",
    }  # fmt: skip
    # Nobody said anything new of these two, and an undo does not bring a former name back.
    undo = ask(UndoLabels, "request-6", change_id="request-2")
    assert await outcome(house, undo) == {"changed": 0, "left": 2}
