"""`menagerie taxonomy` and `menagerie classes` against ingest's real HTTP side."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.commands import AssignLabels
from tests.support.label_desk import ask, outcome
from tests.support.library_desk import LibraryDesk, library_desk
from tests.support.snapshot_desk import library, pack

LABELS = {"chimp": 3, "bonobo": 2, "flamingo/juvenile": 1, "Unknown Bird": 1}


@pytest.fixture
def desk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[LibraryDesk]:
    with library_desk(tmp_path, capsys, monkeypatch) as made:
        asyncio.run(stock(made))
        yield made


async def stock(desk: LibraryDesk) -> None:
    ids = iter(await library(desk.house, range(sum(LABELS.values()))))
    for label, images in LABELS.items():
        chosen = [next(ids) for _ in range(images)]
        await outcome(
            desk.house,
            ask(
                AssignLabels,
                f"label {label}"[:20].replace(" ", "-").replace("/", "-"),
                image_ids=chosen,
                label=label,
            ),
        )


def counted(desk: LibraryDesk, *arguments: str) -> dict[str, int]:
    return {one["class_name"]: one["images"] for one in desk.ask(*arguments)["classes"]}


def test_a_merge_is_told_at_once_and_shown(desk: LibraryDesk) -> None:
    done = desk.ask(
        "taxonomy", "merge", "chimp", "bonobo", "--into", "chimp-bonobo", "--by", "ada", "--reason", "alike"
    )
    assert (done["version"], done["images"]) == (1, 5)
    shown = desk.ask("taxonomy", "show")
    assert shown["merged"] == [{"class_name": "chimp-bonobo", "members": ["chimp", "bonobo"]}]
    assert desk.ask("taxonomy", "show", "--version", "0")["merged"] == []
    (operation,) = desk.ask("taxonomy", "history")["operations"]
    assert (operation["by"], operation["reason"]) == ("ada", "alike")
    assert desk.type("taxonomy", "history") == 0
    for words in ("chimp +", "bonobo", "ada", "alike"):
        assert words in desk.out
    assert desk.type("taxonomy", "show") == 0
    assert "chimp, bonobo" in desk.out


def test_a_refusal_is_ingests_own_sentence(desk: LibraryDesk) -> None:
    desk.ask("taxonomy", "merge", "chimp", "bonobo", "--into", "chimp-bonobo")
    sentence = desk.fails("taxonomy", "merge", "bonobo", "gorilla", "--into", "great-ape")
    assert sentence == "menagerie: 'bonobo' is already merged into 'chimp-bonobo'; split it first\n"
    assert "is not a merged class; merged are: 'chimp-bonobo'" in desk.fails("taxonomy", "split", "zebra")
    assert "there is no version 9" in desk.fails("classes", "--version", "9")


def test_split_rename_and_undo_go_through(desk: LibraryDesk) -> None:
    desk.ask("taxonomy", "merge", "chimp", "bonobo", "--into", "chimp-bonobo")
    assert desk.ask("taxonomy", "split", "chimp-bonobo")["version"] == 2
    assert desk.ask("taxonomy", "rename", "chimp", "pan")["images"] == 3
    undone = desk.ask("taxonomy", "undo")
    assert (undone["version"], undone["change"]) == (4, {"kind": "rename", "old": "pan", "new": "chimp"})
    assert "version 2 is not the newest" in desk.fails("taxonomy", "undo", "--version", "2")
    assert [one["undoes"] for one in desk.ask("taxonomy", "history")["operations"]] == [None, None, None, 3]


def test_nothing_to_undo_is_said(desk: LibraryDesk) -> None:
    assert "nothing to undo" in desk.fails("taxonomy", "undo")


def test_classes_tell_how_many_images_are_missing(desk: LibraryDesk) -> None:
    desk.ask("taxonomy", "merge", "chimp", "bonobo", "--into", "chimp-bonobo")
    found = desk.ask("classes")
    assert (found["minimum_per_class"], found["unknown"], found["images"]) == (40, 1, 7)
    assert [(one["class_name"], one["images"], one["missing"]) for one in found["classes"]] == [
        ("chimp-bonobo", 5, 35), ("flamingo/juvenile", 1, 39),
    ]  # fmt: skip
    assert desk.type("classes") == 0
    assert "0 of 2 classes have 40 images" in desk.out
    assert "  bonobo" in desk.out
    assert "\N{FULL BLOCK}" in desk.out


def test_another_version_is_applied_to_the_library_and_to_a_snapshot(desk: LibraryDesk) -> None:
    desk.ask("taxonomy", "merge", "chimp", "bonobo", "--into", "chimp-bonobo")
    packed = asyncio.run(pack(desk.house, 1))
    desk.ask("taxonomy", "rename", "chimp", "pan")
    plain, merged = {"bonobo": 2, "chimp": 3}, {"chimp-bonobo": 5}
    rest = {"flamingo/juvenile": 1}
    assert counted(desk, "taxonomy", "apply", "--version", "0") == plain | rest
    assert counted(desk, "taxonomy", "apply", "--version", "2") == merged | rest
    of_snapshot = ("taxonomy", "apply", "--snapshot", packed.snapshot_id, "--version")
    assert counted(desk, *of_snapshot, "0") == plain | rest
    assert counted(desk, *of_snapshot, "2") == merged | rest
    assert "no snapshot" in desk.fails("taxonomy", "apply", "--version", "0", "--snapshot", "zebra")
    assert desk.type("taxonomy", "apply", "--version", "0", "--snapshot", "../zebra") == 2


def test_a_hostile_class_drives_no_terminal(desk: LibraryDesk) -> None:
    desk.ask("taxonomy", "rename", "chimp", "\x1b[2J/<b>[red]")
    assert desk.type("classes") == 0
    assert "\x1b" not in desk.out
    assert "[red]" in desk.out
