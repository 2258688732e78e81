"""``menagerie dedup`` against the real HTTP sides of ingest and dedup."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.dedup_house import picture
from tests.support.dedup_model import image
from tests.support.duplicate_desk import DuplicateDesk, doubtful_copy, duplicate_desk

HOSTILE = '<img src=x onerror="alert(1)">\u202egnp.exe'


@pytest.fixture
def desk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[DuplicateDesk]:
    with duplicate_desk(tmp_path, capsys, monkeypatch) as made:
        yield made


@pytest.fixture
def doubtful(desk: DuplicateDesk) -> tuple[str, str]:
    """Two images that wait for a person; one has a hostile name."""
    one, other = desk.take(("lion.png", picture(0)), (HOSTILE, doubtful_copy(0)), label="big cat/[red]lion")
    return min(one, other), max(one, other)


def ask(desk: DuplicateDesk, *arguments: str) -> Any:
    return desk.desk.ask("dedup", *arguments)


def test_a_pair_is_listed_with_what_was_measured_and_what_the_library_knows(
    desk: DuplicateDesk, doubtful: tuple[str, str]
) -> None:
    found = ask(desk, "pairs")
    [row] = found["pairs"]
    assert (row["image_id"], row["other_id"]) == doubtful
    assert (row["state"], row["similarity"], row["by"], found["more"]) == ("review", None, None, False)
    assert row["class_name"] == row["image"]["label"] == row["other"]["label"] == "big cat/[red]lion"
    assert {row["image"]["file_name"], row["other"]["file_name"]} == {"lion.png", HOSTILE}
    assert row["suggested_keep"] in doubtful


def test_hostile_names_drive_no_terminal(desk: DuplicateDesk, doubtful: tuple[str, str]) -> None:
    for arguments in (["pairs"], ["group", doubtful[0]]):
        assert desk.desk.type("dedup", *arguments) == 0
        assert "\u202e" not in desk.desk.out
        assert "\x1b" not in desk.desk.out
        assert doubtful[0][:12] in desk.desk.out
        assert "[red]lion" in desk.desk.out


def test_a_decision_is_told_remembered_and_taken_back(desk: DuplicateDesk, doubtful: tuple[str, str]) -> None:
    one, other = doubtful
    done = ask(desk, "resolve", other[:8], one[:6], "--keep", other[:7], "--reason", "same", "--by", "ada")
    assert (done["image_id"], done["other_id"], done["keep"], done["state"]) == (
        one,
        other,
        other,
        "duplicate",
    )
    assert ask(desk, "pairs")["pairs"] == []
    [row] = ask(desk, "pairs", "--state", "duplicate")["pairs"]
    assert (row["keep"], row["by"], row["reason"], row["request_id"]) == (
        other,
        "ada",
        "same",
        done["request_id"],
    )
    told = ask(desk, "group", one[:10])
    assert (told["verdict"], told["duplicate_of"], told["by"]) == ("near", other, "ada")
    assert [member["image_id"] for member in told["members"]] == [other, one]
    undone = ask(desk, "undo", done["request_id"])
    assert (undone["undone"], undone["state"]) == (done["request_id"], "review")
    assert ask(desk, "group", one)["verdict"] == "unique"
    assert len(ask(desk, "pairs")["pairs"]) == 1


def test_what_a_person_calls_no_duplicate_is_never_asked_again(
    desk: DuplicateDesk, doubtful: tuple[str, str]
) -> None:
    done = ask(desk, "resolve", *doubtful, "--keep-both")
    assert (done["keep"], done["state"]) == (None, "not-duplicate")
    assert ask(desk, "pairs", "--state", "all")["pairs"][0]["state"] == "not-duplicate"
    desk.take(("a.png", picture(50)))
    assert ask(desk, "pairs")["pairs"] == []


def test_a_decision_tells_how_to_take_it_back(desk: DuplicateDesk, doubtful: tuple[str, str]) -> None:
    assert desk.desk.type("dedup", "resolve", *doubtful, "--keep", doubtful[0]) == 0
    [hint] = [line for line in desk.desk.out.splitlines() if "dedup undo" in line]
    assert ask(desk, *hint.split("menagerie dedup ")[1].split())["state"] == "review"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["resolve", "a" * 64, "b" * 64, "--keep-both"], "a" * 64),
        (["resolve", "a" * 64, "b" * 64, "--keep", "c" * 6], "not one of the two"),
        (["resolve", "a" * 64, "a" * 64, "--keep-both"], "two images"),
        (["resolve", "abc", "b" * 64, "--keep-both"], "first 6"),
        (["resolve", "abcdef", "b" * 64, "--keep-both"], "no image's id begins with abcdef"),
        (["undo", "never-said"], "never-said"),
        (["undo", "?"], "undoes"),
        (["group", "a" * 64], "a" * 64),
        (["pairs", "--image", "xyz"], "no image id"),
        (["sheet", "/proc/nowhere/sheet.html"], "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(desk: DuplicateDesk, arguments: list[str], words: str) -> None:
    assert words in desk.desk.fails("dedup", *arguments)


def test_a_decision_that_was_taken_back_cannot_be_taken_back_again(
    desk: DuplicateDesk, doubtful: tuple[str, str]
) -> None:
    done = ask(desk, "resolve", *doubtful, "--keep-both")
    ask(desk, "undo", done["request_id"])
    assert "was taken back" in desk.desk.fails("dedup", "undo", done["request_id"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["resolve", "a" * 64, "b" * 64],
        ["resolve", "a" * 64, "b" * 64, "--keep", "a" * 64, "--keep-both"],
        ["resolve", "a" * 64],
        ["pairs", "--state", "maybe"],
        ["pairs", "--limit", "0"],
        ["sheet", "sheet.pdf"],
        ["sheet", "sheet.html", "--state", "maybe"],
        [],
    ],
    ids=" ".join,
)
def test_half_a_command_is_told_how_it_goes_on(desk: DuplicateDesk, arguments: list[str]) -> None:
    assert desk.desk.type("dedup", *arguments) == 2
    assert "Usage" in desk.desk.err + desk.desk.out


def test_more_pairs_than_asked_for_are_told_of(desk: DuplicateDesk) -> None:
    ids = desk.take(*((f"{seed}.png", picture(seed)) for seed in range(5)))
    for number, other in enumerate(ids[1:]):
        desk.propose(ids[0], other, 0.90 + number / 100)
    found = ask(desk, "pairs", "--limit", "3")
    assert (len(found["pairs"]), found["more"]) == (3, True)
    assert "--limit 30" in desk.desk.err
    assert len(ask(desk, "pairs", "--image", ids[0][:6])["pairs"]) == 4
    assert len(ask(desk, "pairs", "--image", ids[1])["pairs"]) == 1


def test_thresholds_are_those_of_the_service(desk: DuplicateDesk, doubtful: tuple[str, str]) -> None:
    ask(desk, "resolve", *doubtful, "--keep-both")
    [row] = ask(desk, "thresholds")["thresholds"]
    assert row["automatic"] == desk.dedup.settings.limits.automatic_bits
    assert (row["class_name"], row["not_duplicates"], row["learnt"]) == (None, 1, False)
    assert desk.desk.type("dedup", "thresholds") == 0
    assert "all classes" in desk.desk.out


def test_the_sheet_is_one_file_with_every_picture_and_no_markup_of_strangers(
    desk: DuplicateDesk, doubtful: tuple[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "sheet.html"
    out.write_text("an older one")
    told = ask(desk, "sheet", str(out))
    assert (told["pairs"], told["bytes"], told["more"]) == (1, out.stat().st_size, False)
    page = out.read_text("utf-8")
    assert page.count("data:image/webp;base64,") == 2
    assert HOSTILE not in page
    assert f"menagerie dedup resolve {doubtful[0][:12]} {doubtful[1][:12]} --keep" in page
    assert [file.name for file in tmp_path.glob("*sheet*")] == ["sheet.html"]


def test_an_image_that_ingest_does_not_know_is_shown_without_name_and_picture(
    desk: DuplicateDesk, tmp_path: Path
) -> None:
    [known] = desk.take(("lion.png", picture(0)))
    stranger = image(7, 0)
    desk.introduce(stranger)
    desk.propose(known, stranger.image_id, 0.9)
    [row] = ask(desk, "pairs")["pairs"]
    assert [row["image"], row["other"]].count(None) == 1
    assert desk.desk.type("dedup", "pairs") == 0
    ask(desk, "sheet", str(tmp_path / "sheet.html"))
    assert (tmp_path / "sheet.html").read_text("utf-8").count("no picture") == 1


def test_a_dedup_that_is_away_is_told_with_its_remedy(
    desk: DuplicateDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object, **__: object) -> httpx.Response:
        raise httpx.ConnectError("refused")

    monkeypatch.setattr(httpx.AsyncClient, "request", refuse)
    sentence = desk.desk.fails("dedup", "thresholds")
    assert "dedup at http://" in sentence
    assert "menagerie up" in sentence
