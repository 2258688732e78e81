"""What people say of images by command, against ingest's real HTTP side."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from services.ingest.store.tables import image, upload
from services.ops.clients import changes, library
from tests.support.library_desk import LibraryDesk, changes_told, library_desk
from tests.support.listed_library import START, Picture, expected, fill, picture


@pytest.fixture
def desk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[LibraryDesk]:
    with library_desk(tmp_path, capsys, monkeypatch) as made:
        yield made


@pytest.fixture
def pictures(desk: LibraryDesk) -> list[Picture]:
    chance = random.Random(5)
    made = [picture(chance, number) for number in range(30)]
    with desk.house.database.engine.begin() as connection:
        fill(connection, made)
    return made


def ids(desk: LibraryDesk, *options: str) -> list[str]:
    return [row["image_id"] for row in desk.ask("images", *options)["images"]]


def test_labels_are_given_told_and_taken_back(desk: LibraryDesk, pictures: list[Picture]) -> None:
    one, other = [picture.image_id for picture in pictures if picture.row["label"] is None][:2]
    given = desk.ask("label", one[:9], other, "big cat/lion", "--reason", "seen it", "--by", "ada")
    assert (given["images"], given["changed"]) == (2, 2)
    told = desk.ask("image", one)
    assert (told["label"], told["kind"]) == ("big cat/lion", "class")
    assert changes_told(told["history"]) == [(None, "big cat/lion")]
    assert (told["history"][0]["by"], told["history"][0]["reason"]) == ("ada", "seen it")
    desk.ask("label", other, "screen", "--kind", "rejected")
    undone = desk.ask("label-undo", given["change_id"])
    assert (undone["changed"], undone["left"]) == (1, 1)
    assert desk.ask("image", one)["label"] is None
    assert desk.ask("image", other)["kind"] == "rejected"
    again = desk.ask("label-undo", undone["change_id"])
    assert again["changed"] == 1
    assert desk.ask("image", one)["label"] == "big cat/lion"


def test_a_label_tells_how_to_take_it_back(desk: LibraryDesk, pictures: list[Picture]) -> None:
    assert desk.type("label", pictures[0].image_id, "[red]axolotl[/red]") == 0
    assert "[red]axolotl[/red]" in desk.out
    [hint] = [line for line in desk.out.splitlines() if "label-undo" in line]
    change_id = hint.split()[-1]
    assert desk.ask("label-undo", change_id)["changed"] == 1


def test_many_ids_go_in_several_messages_of_one_change(
    desk: LibraryDesk, pictures: list[Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "MESSAGE_IMAGES", 7)
    every = "\n".join(expected(pictures, {}))
    given = desk.ask("label", "-", "otter", stdin=every)
    assert (given["images"], given["changed"]) == (30, 30)
    assert desk.ask("label-undo", given["change_id"])["changed"] == 30
    assert ids(desk, "--label", "lion") == expected(pictures, {"label": "lion"})


def test_what_was_done_before_a_refusal_is_told_with_its_remedy(
    desk: LibraryDesk, pictures: list[Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "MESSAGE_IMAGES", 7)
    every = "\n".join([*expected(pictures, {}), "f" * 64])
    sentence = desk.fails("label", "-", "otter", stdin=every)
    assert "28 of 31 images were done" in sentence
    assert "f" * 64 in sentence
    change_id = sentence.split("label-undo ")[1].split("`")[0]
    assert desk.ask("label-undo", change_id)["changed"] == 28


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["label", "a" * 64, "otter"], "a" * 64),
        (["label", "a" * 64, "x" * 201], "label"),
        (["label", "a" * 64, "otter", "--kind", "animal"], "kind"),
        (["label", "-", "otter"], "no image is named"),
        (["label-undo", "nothing-like-it"], "nothing-like-it"),
        (["label-undo", "?"], "change_id"),
        (["opinion", "a" * 64, "otter"], "a" * 64),
        (["double-check", "a" * 64, "--reason", "why not"], "a" * 64),
        (["benchmark", "add", "difficult", "a" * 64], "a" * 64),
        (["benchmark", "add", " ", "a" * 64], "benchmark"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(desk: LibraryDesk, arguments: list[str], words: str) -> None:
    assert words in desk.fails(*arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ["label", "a" * 64],
        ["label", "a" * 64, "b" * 64],
        ["double-check", "a" * 64],
        ["double-check", "a" * 64, "--unsure", "--reason", "x"],
        ["benchmark", "add", "difficult"],
    ],
    ids=" ".join,
)
def test_half_a_command_is_told_how_it_goes_on(desk: LibraryDesk, arguments: list[str]) -> None:
    assert desk.type(*arguments) == 2
    assert "Usage" in desk.err


def test_an_opinion_changes_no_label_and_shows_where_people_differ(
    desk: LibraryDesk, pictures: list[Picture]
) -> None:
    image_id = pictures[0].image_id
    desk.ask("label", image_id, "otter", "--by", "ada")
    given = desk.ask("opinion", image_id[:10], "mink", "--by", "zoe")
    assert (given["agrees"], given["current_label"]) == (False, "otter")
    assert image_id in ids(desk, "--disagreement", "--label", "otter")
    assert desk.ask("opinion", image_id, "otter", "--by", "zoe")["agrees"]
    told = desk.ask("image", image_id)
    assert told["label"] == "otter"
    assert [row["label"] for row in told["opinion_list"] if row["by"] == "zoe"] == ["mink", "otter"]


def test_another_look_is_asked_for_and_ended(desk: LibraryDesk, pictures: list[Picture]) -> None:
    first, second = [one.image_id for one in pictures if one.double_check is None][:2]
    asked = desk.ask("double-check", first, second, "--reason", "blurred")
    assert (asked["images"], asked["changed"]) == (2, 2)
    assert {first, second} <= set(ids(desk, "--double-check"))
    assert desk.ask("double-check", first, "--done")["changed"] == 1
    assert desk.ask("double-check", second, "--done", "--unsure")["changed"] == 1
    assert not {first, second} & set(ids(desk, "--double-check"))
    verdicts = [desk.ask("image", one)["double_checks"][-1]["verdict"] for one in (first, second)]
    assert verdicts == ["keep", "unsure"]


def test_images_join_and_leave_a_benchmark_set(desk: LibraryDesk, pictures: list[Picture]) -> None:
    image_id = next(one.image_id for one in pictures if one.row["benchmark"] is None)
    added = desk.ask("benchmark", "add", "odd ones", image_id[:10], "--reason", "hard")
    assert (added["images"], added["changed"]) == (1, 1)
    sets = {one["benchmark"]: one["images"] for one in desk.ask("benchmark", "list")["benchmarks"]}
    assert sets["odd ones"] == 1
    assert ids(desk, "--benchmark", "odd ones") == [image_id]
    assert desk.ask("benchmark", "remove", image_id)["changed"] == 1
    history = desk.ask("image", image_id)["benchmark_history"]
    assert changes_told(history) == [(None, "odd ones"), ("odd ones", None)]


def test_a_label_for_a_picture_that_is_still_being_decoded_is_tried_again_and_then_told(
    desk: LibraryDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "PATIENCE_S", 0.3)
    image_id = "c" * 64
    waiting = {"upload_id": "upload-0001", "image_id": image_id, "object": {}, "file_name": "a.png",
               "uploaded_by": "ada", "uploaded_at": START}  # fmt: skip
    with desk.house.database.engine.begin() as connection:
        connection.execute(sa.insert(upload).values(waiting))
    assert "not yet decoded" in desk.fails("label", image_id, "otter")
    with desk.house.database.engine.begin() as connection:
        one = picture(random.Random(1), 2)
        row = one.row | {"image_id": image_id, "pixel_sha256": image_id, "label": None, "label_revision": 0}
        connection.execute(sa.insert(image).values(row))
    assert desk.ask("label", image_id, "otter")["changed"] == 1
