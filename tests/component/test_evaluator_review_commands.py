"""``menagerie review-queue`` and ``confused-pairs`` beside the real HTTP sides of evaluator and library."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.library_desk import changes_told
from tests.support.listed_library import Picture, fill, picture
from tests.support.review_desk import ReviewDesk, later, review_desk

CLASSES = ("okapi", "zebra")
IMAGES = 8


@pytest.fixture
def desk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[ReviewDesk]:
    with review_desk(tmp_path, capsys, monkeypatch) as made:
        yield made


@pytest.fixture
def ids(desk: ReviewDesk) -> list[str]:
    """Images of the library: the first half okapis, then zebras; the model doubts the first and the last."""
    chance = random.Random(5)
    made: list[Picture] = [picture(chance, number) for number in range(IMAGES)]
    with desk.desk.house.database.engine.begin() as connection:
        fill(connection, made)
    found = [one.image_id for one in made]
    for name, part in zip(CLASSES, (found[:4], found[4:]), strict=True):
        desk.desk.ask("label", *part, name)
    asyncio.run(desk.house.score("001", scores(), found, labels(), CLASSES))
    return found


def labels() -> list[int]:
    return [0] * 4 + [1] * 4


def scores() -> np.ndarray[Any, Any]:
    right = np.array([[0.9, 0.1]] * 4 + [[0.1, 0.9]] * 4)
    right[[0, -1]] = right[[0, -1], ::-1]
    right[0] = (0.02, 0.98)
    return right


def test_a_round_goes_out_to_people_and_its_verdicts_come_back(desk: ReviewDesk, ids: list[str]) -> None:
    shown = desk.ask("review-queue", "show", "--limit", "2")
    assert (shown["model_version"], [row["image_id"] for row in shown["images"]]) == (
        "001",
        [ids[0], ids[-1]],
    )
    sent = desk.ask("review-queue", "send", "--limit", "4", "--reason", "spring", "--by", "ann")
    round_id = sent["round_id"]
    waiting = desk.ask("images", "--double-check")["images"]
    assert {ids[0], ids[-1]} < {row["image_id"] for row in waiting}
    assert waiting[0]["double_check"] == f"round {round_id} of model 001: spring"

    listed = desk.ask("review-queue", "round", round_id, "--waiting")["listed"]
    one, two, three, four = (row["image_id"] for row in listed)
    relabelled = desk.ask("review-queue", "verdict", one[:9], "relabel", "zebra", "--by", "bob")
    desk.ask("review-queue", "verdict", two, "remove", "--reason", "blurred")
    desk.ask("review-queue", "verdict", three, "keep")
    desk.ask("review-queue", "verdict", four, "unsure")

    told = desk.ask("review-queue", "round", round_id)
    assert told["verdicts"] == {"relabel": 1, "remove": 1, "keep": 1, "unsure": 1}
    assert (told["changed"], [row["verdict"] for row in told["listed"]]) == (
        2,
        ["relabel", "remove", "keep", "unsure"],
    )
    assert told["listed"][0]["by"] == "bob"
    assert desk.desk.ask("image", one)["label"] == "zebra"
    assert desk.desk.ask("image", two)["kind"] == "rejected"
    assert desk.desk.ask("images", "--double-check")["images"] == []
    assert desk.desk.ask("label-undo", relabelled["change_id"])["changed"] == 1
    assert changes_told(desk.desk.ask("image", one)["history"])[-1] == ("zebra", "okapi")

    asyncio.run(
        desk.house.score("002", scores(), ids, labels(), CLASSES, at=later(10**5), figures={"accuracy": 1.0})
    )
    assert desk.desk.type("review-queue", "round", round_id) == 0
    words = " ".join(desk.desk.out.split())
    assert "Of 4 images 4 were looked at: 1 got another label, 1 were removed" in words
    assert "Model 002 was right on 100.0 %" in words


def test_a_class_and_a_pair_are_sent_and_rounds_are_listed(desk: ReviewDesk, ids: list[str]) -> None:
    desk.ask("review-queue", "send", "--class", "okapi")
    desk.ask("review-queue", "send", "--class", "okapi", "--with", "zebra", "--set", "train")
    rounds = desk.ask("review-queue", "rounds")["rounds"]
    assert sorted((row["images"], row["waiting"]) for row in rounds) == [(0, 0), (4, 4)]
    assert desk.desk.type("review-queue", "rounds") == 0
    assert "okapi and" in desk.desk.out
    assert desk.desk.type("review-queue", "show", "--class", "zebra") == 0
    assert ids[-1][:12] in desk.desk.out


def test_a_verdict_on_an_image_that_nobody_asked_about_says_so(desk: ReviewDesk, ids: list[str]) -> None:
    assert desk.desk.type("review-queue", "verdict", ids[1], "keep") == 0
    assert "waits for no double-check" in " ".join(desk.desk.out.split())


@pytest.mark.parametrize(
    "arguments", [("keep", "zebra"), ("relabel",), ("perhaps",), ("remove", "zebra"), ("unsure", "okapi")]
)
def test_a_verdict_that_makes_no_sense_is_refused(
    desk: ReviewDesk, ids: list[str], arguments: tuple[str, ...]
) -> None:
    assert desk.desk.type("review-queue", "verdict", ids[0], *arguments) == 2
    assert desk.desk.ask("image", ids[0])["label"] == "okapi"


def test_before_a_model_is_scored_there_is_no_queue_and_the_sentence_says_what_to_do(
    desk: ReviewDesk,
) -> None:
    assert "menagerie evaluate" in desk.desk.fails("review-queue", "show")
    assert "has no queue" in desk.desk.fails("review-queue", "send", "--model", "007")
    assert "there is no round 'x'" in desk.desk.fails("review-queue", "round", "x")


def test_confused_pairs_are_set_shown_by_version_and_removed(desk: ReviewDesk) -> None:
    done = desk.ask("confused-pairs", "set", "zebra", "okapi", "0.5", "--reason", "stripes", "--by", "ann")
    assert (done["version"], done["one"], done["other"], done["weight"]) == (1, "okapi", "zebra", 0.5)
    desk.ask("confused-pairs", "set", "[red]otter[/red]", "okapi", "0")
    desk.ask("confused-pairs", "remove", "okapi", "zebra")
    assert desk.ask("confused-pairs", "show", "--version", "1")["pairs"] == [
        {"one": "okapi", "other": "zebra", "weight": 0.5}
    ]
    assert desk.desk.type("confused-pairs", "show") == 0
    assert "1 confused pairs, version 3" in desk.desk.out
    assert "[red]otter[/red]" in desk.desk.out
    changes = desk.ask("confused-pairs", "history")["changes"]
    assert [(row["version"], row["weight"]) for row in changes] == [(3, None), (2, 0.0), (1, 0.5)]
    assert desk.desk.type("confused-pairs", "history") == 0
    assert "nothing was changed" in desk.desk.fails("confused-pairs", "remove", "okapi", "zebra")
    assert desk.desk.type("confused-pairs", "set", "okapi", "zebra", "1.5") == 2
