"""``menagerie images``, ``image``, ``snapshots`` and ``reconcile`` against ingest's real HTTP side."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.ops.clients import library
from services.ops.commands import session
from services.ops.stack.record import Connection
from tests.support.library_desk import LibraryDesk, library_desk
from tests.support.listed_library import Picture, expected, fill, picture
from tests.support.pictures import decoded, encoded, noise


@pytest.fixture
def desk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[LibraryDesk]:
    with library_desk(tmp_path, capsys, monkeypatch) as made:
        yield made


@pytest.fixture
def pictures(desk: LibraryDesk) -> list[Picture]:
    chance = random.Random(3)
    made = [picture(chance, number) for number in range(30)]
    with desk.house.database.engine.begin() as connection:
        fill(connection, made)
    return made


def ids(desk: LibraryDesk, *options: str) -> list[str]:
    return [row["image_id"] for row in desk.ask("images", *options)["images"]]


def test_filters_are_passed_on(desk: LibraryDesk, pictures: list[Picture]) -> None:
    asked = {
        "--label": ("lion", {"label": "lion"}), "--class": ("chimp", None), "--kind": ("unknown", {"kind": "unknown"}),
        "--source": ("staged", {"source": "staged"}), "--guest": ("o'hara", {"guest": "o'hara"}),
        "--visit": ("v1", {"visit": "v1"}), "--tag": ("a,b", {"tag": "a,b"}), "--verdict": ("near", {"verdict": "near"}),
        "--benchmark": ("own set", {"benchmark": "own set"}), "--file": ("%", {"file": "%"}),
        "--upstream-id": ("up 1", {"upstream_id": "up 1"}),
    }  # fmt: skip
    for option, (value, fields) in asked.items():
        wanted = fields if fields is not None else {"label": "chimp", "kind": "class"}
        assert ids(desk, option, value) == expected(pictures, wanted), option
    for option in ("unlabelled", "double_check", "disagreement"):
        assert ids(desk, f"--{option.replace('_', '-')}") == expected(pictures, {option: True}), option
    both = {"flags": ("dark", "tiny")}
    assert ids(desk, "--flag", "dark", "--flag", "tiny") == expected(pictures, both)


def test_a_cut_list_says_that_there_is_more(desk: LibraryDesk, pictures: list[Picture]) -> None:
    found = desk.ask("images", "--limit", "7")
    assert (len(found["images"]), found["more"]) == (7, True)
    assert "--limit 70" in desk.err
    assert desk.type("images", "--limit", "30") == 0
    assert desk.err == ""
    assert "30 images" in desk.out


def test_ids_are_printed_one_a_line_for_pipes(desk: LibraryDesk, pictures: list[Picture]) -> None:
    assert desk.type("images", "--ids") == 0
    assert desk.out.splitlines() == expected(pictures, {})
    listed = desk.out
    done = desk.ask("label", "-", "otter", stdin=listed)
    assert (done["images"], done["changed"]) == (30, 30)
    assert ids(desk, "--label", "otter") == expected(pictures, {})


def test_an_unknown_word_is_refused_with_the_words_there_are(
    desk: LibraryDesk, pictures: list[Picture]
) -> None:
    sentence = desk.fails("images", "--flag", "ugly")
    assert "flag" in sentence
    assert "blurry" in sentence
    assert "source" in desk.fails("images", "--source", "dream")


def test_everything_about_an_image_is_told_by_the_beginning_of_its_id(
    desk: LibraryDesk, pictures: list[Picture]
) -> None:
    one = next(one for one in pictures if one.flags and one.double_check and one.repeat and one.row["label"])
    told = desk.ask("image", one.image_id[:8])
    assert told["image_id"] == one.image_id
    assert {flag["flag"] for flag in told["flags"]} == one.flags
    assert len(told["uploads"]) == 2
    assert desk.type("image", one.image_id) == 0
    for words in (one.image_id, "look again", "0.2", "Label history", one.upload["upload_id"]):
        assert words in desk.out


def test_a_beginning_that_fits_no_image_or_several_is_told(
    desk: LibraryDesk, pictures: list[Picture]
) -> None:
    missing = next(
        text for text in ("abcdef", "123456") if not any(one.image_id.startswith(text) for one in pictures)
    )
    assert "menagerie images" in desk.fails("image", missing)
    assert "6" in desk.fails("image", pictures[0].image_id[:5])
    assert "no image id" in desk.fails("image", "../../etc/passwd")
    twins = [picture(random.Random(1), 100), picture(random.Random(2), 101)]
    beginning = "abcdef" + "0" * 4
    with desk.house.database.engine.begin() as connection:
        for number, one in enumerate(twins):
            image_id = f"{beginning}{number}".ljust(64, "0")
            keys = {"image_id": image_id, "pixel_sha256": image_id}
            fill(connection, [Picture(image_id, one.row | keys, one.upload, None, one.flags, (), None)])
    assert "more digits" in desk.fails("image", beginning)
    assert desk.ask("image", f"{beginning}1")["image_id"].startswith(f"{beginning}1")


def test_a_picture_is_saved(desk: LibraryDesk, tmp_path: Path) -> None:
    data = encoded(noise(90, 50), "JPEG")
    sent = desk.house.put("upload-0001", data)
    asyncio.run(desk.house.take(sent))
    image_id, file = sent.object.sha256, tmp_path / "saved"
    saved = desk.ask("image", image_id[:10], "--save", str(file))
    assert (saved["bytes"], file.read_bytes()) == (len(data), data)
    desk.ask("image", image_id, "--save", str(file), "--rendition", "normalised")
    assert decoded(file.read_bytes()).size == (64, 64)
    assert "cannot be written" in desk.fails("image", image_id, "--save", str(tmp_path / "none" / "file"))
    assert desk.type("image", image_id, "--rendition", "painting") == 2


def test_a_reconcile_is_queued(desk: LibraryDesk) -> None:
    assert desk.ask("reconcile")["queued"]
    assert asyncio.run(desk.house.told())["library.reconcile-requested"] == 1


def test_the_list_of_snapshots_is_empty_at_first(desk: LibraryDesk) -> None:
    assert desk.ask("snapshots") == {"snapshots": []}
    assert desk.type("snapshots") == 0
    assert "0 snapshots" in desk.out


def test_an_ingest_that_is_away_is_told_as_such(desk: LibraryDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "PATIENCE_S", 0.3)
    nobody = Connection({"ingest": "http://127.0.0.1:9"}, "", "token", "ready", {})
    monkeypatch.setattr(session, "find_stack", lambda data_dir: nobody)
    for arguments in (["images"], ["label", "a" * 64, "otter"]):
        assert "menagerie up" in desk.fails(*arguments)


def test_a_wrong_token_is_told_as_such(desk: LibraryDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    url = session.find_stack(None).urls["ingest"]
    stranger = Connection({"ingest": url}, "", "another token", "ready", {})
    monkeypatch.setattr(session, "find_stack", lambda data_dir: stranger)
    assert "Authorization" in desk.fails("images")
