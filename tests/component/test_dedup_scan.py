"""``menagerie dedup scan`` on folders of copies: what it finds, says, writes and remembers."""

from __future__ import annotations

import csv
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageOps

from services.dedup.scan import job
from services.runtime.child import ChildFailed
from tests.support.pictures import encoded, noise, photos, with_orientation
from tests.support.scan_desk import ScanDesk


@pytest.fixture
def desk(tmp_path: Path) -> ScanDesk:
    (tmp_path / "folder").mkdir()
    (tmp_path / "beside").mkdir()
    return ScanDesk(tmp_path / "folder", tmp_path / "beside")


def scenes() -> list[Image.Image]:
    """Pictures that share nothing."""
    return [
        next(photos(200, 150, 1)),
        noise(12, 9, 1).resize((200, 150)),
        noise(16, 12, 2).resize((180, 240)),
    ]


def files_of(group: dict[str, Any]) -> tuple[str, list[str]]:
    return group["keep"]["file"], [copy["file"] for copy in group["copies"]]


def everything(desk: ScanDesk) -> list[tuple[str, bytes, int]]:
    return sorted(
        (str(path), path.read_bytes(), path.stat().st_mtime_ns)
        for path in desk.folder.rglob("*")
        if path.is_file()
    )


@pytest.fixture
def library(desk: ScanDesk) -> Iterator[ScanDesk]:
    one, two, three = scenes()
    desk.put("one.png", encoded(one))
    desk.put("again/one.png", encoded(one))
    desk.put("again/one.bmp", encoded(one, "BMP"))
    desk.put("again/stored upright.png", with_orientation(one.transpose(Image.Transpose.ROTATE_90), 6, "PNG"))
    desk.put("small/one.jpg", encoded(one.resize((100, 75)), "JPEG", quality=60))
    desk.put("two.png", encoded(two))
    desk.put("turned/two mirrored.png", encoded(ImageOps.mirror(two)))
    desk.put("turned/two on its side.jpg", encoded(two.transpose(Image.Transpose.ROTATE_90), "JPEG"))
    desk.put("three.webp", encoded(three, "WEBP", lossless=True))
    desk.put("notes.txt", b"Dear diary, today I saw a lion.\n")
    before = everything(desk)
    yield desk
    assert everything(desk) == before, "a scan changes no file"


def test_the_same_the_small_the_mirrored_and_the_turned_are_found(library: ScanDesk) -> None:
    found = library.report()
    [same] = found["exact"]
    assert same["keep"]["file"] == "again/one.bmp", "the largest file of equal pixels"
    assert {copy["file"]: copy["same"] for copy in same["copies"]} == {
        "again/one.png": "pixels",
        "again/stored upright.png": "pixels",
        "one.png": "pixels",
    }
    near = {copy["file"]: copy["orientation"] for group in found["near"] for copy in group["copies"]}
    kept = {group["keep"]["file"] for group in found["near"]}
    twos = {"two.png", "turned/two mirrored.png", "turned/two on its side.jpg"}
    assert near["small/one.jpg"] == "same"
    assert len(near) == 3
    assert twos < {*near, *kept}
    assert found["counts"]["images"] == 9
    assert found["counts"]["other_files"] == 1
    assert found["unreadable"] == []


def test_turned_copies_are_left_alone_when_asked_to(library: ScanDesk) -> None:
    near = library.report(turned=False)["near"]
    assert [files_of(group)[1] for group in near] == [["small/one.jpg"]]


def test_the_orientation_says_how_the_kept_one_is_turned_to_look_like_the_copy(desk: ScanDesk) -> None:
    scene = scenes()[1]
    desk.put("a.png", encoded(scene))
    for method in Image.Transpose:
        desk.put(f"{method.name}.png", encoded(scene.transpose(method).resize((60, 60))))
    [group] = desk.report()["near"]
    assert group["keep"]["file"] == "a.png"
    said = {copy["file"]: copy["orientation"] for copy in group["copies"]}
    assert said == {f"{method.name}.png": method.name.lower().replace("_", "-") for method in Image.Transpose}


def test_the_same_folder_gives_the_same_report_whatever_the_workers_and_the_cache(library: ScanDesk) -> None:
    cache = str(library.beside / "cache.sqlite")
    ways: tuple[dict[str, Any], ...] = ({"processes": 1}, {"processes": 3, "cache": cache}, {"cache": cache})
    reports = []
    for way in ways:
        library.report(**way)
        reports.append((library.beside / "report.json").read_bytes())
    assert len(set(reports)) == 1


def test_a_second_scan_reads_only_what_is_new_or_changed(library: ScanDesk) -> None:
    cache = str(library.beside / "cache.sqlite")
    assert [library.report(cache=cache)["remembered"] for _ in range(2)] == [0, 10]


def test_a_changed_file_is_read_again(desk: ScanDesk) -> None:
    cache = str(desk.beside / "cache.sqlite")
    for number, scene in enumerate(scenes()):
        desk.put(f"{number}.png", encoded(scene))
    assert desk.report(cache=cache)["near"] == []
    desk.put("1.png", encoded(scenes()[0].resize((100, 75))))
    found = desk.report(cache=cache)
    assert found["remembered"] == 2
    assert [files_of(group) for group in found["near"]] == [("0.png", ["1.png"])]


def test_a_file_changed_a_moment_ago_is_not_remembered(desk: ScanDesk) -> None:
    cache = str(desk.beside / "cache.sqlite")
    os.utime(desk.put("a.png", encoded(noise(20, 20))))
    assert [desk.report(cache=cache)["remembered"] for _ in range(2)] == [0, 0]


def test_what_a_cache_of_another_version_holds_is_forgotten(
    desk: ScanDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = str(desk.beside / "cache.sqlite")
    desk.put("a.png", encoded(noise(20, 20)))
    desk.report(cache=cache)
    monkeypatch.setattr(job, "READING_VERSION", 0)
    assert [desk.report(cache=cache)["remembered"] for _ in range(2)] == [0, 1]


@pytest.mark.parametrize("program", ["a picture", "a database"])
def test_nothing_of_another_program_is_taken_for_a_cache(desk: ScanDesk, program: str) -> None:
    desk.put("a.png", encoded(noise(20, 20)))
    theirs = desk.put("b.png", encoded(noise(20, 21)))
    if program == "a database":
        theirs.unlink()
        with closing(sqlite3.connect(theirs)) as connection:
            connection.execute("CREATE TABLE file (name TEXT)")
            connection.commit()
    before = theirs.read_bytes()
    with pytest.raises(ChildFailed, match="give another place with --cache"):
        desk.report(cache=str(theirs))
    assert theirs.read_bytes() == before


def test_the_distance_decides_what_is_a_copy_and_what_a_person_sees(desk: ScanDesk) -> None:
    scene = scenes()[0]
    desk.put("a.png", encoded(scene))
    desk.put("b.png", encoded(scene.crop((2, 1, 198, 148))))
    apart = desk.report()["near"][0]["copies"][0]["distance_bits"]
    assert apart > 0
    just_not = desk.report(distance_bits=apart - 1)
    assert just_not["near"] == []
    assert [pair["distance_bits"] for pair in just_not["review"]] == [apart]


def test_flat_pictures_are_the_same_only_pixel_for_pixel(desk: ScanDesk) -> None:
    for name, colour in (("a", 10), ("b", 10), ("c", 200)):
        desk.put(f"{name}.png", encoded(Image.new("L", (30, 20), colour)))
    desk.put("a.bmp", encoded(Image.new("L", (30, 20), 10), "BMP"))
    desk.put("d.png", encoded(Image.new("L", (31, 20), 10)))
    found = desk.report()
    [group] = found["exact"]
    assert {group["keep"]["file"], *files_of(group)[1]} == {"a.png", "a.bmp", "b.png"}
    assert found["near"] == found["review"] == []
    assert found["counts"]["flat"] == 5


def test_slowly_changing_pictures_do_not_chain(desk: ScanDesk) -> None:
    one, other = (noise(10, 10, seed).resize((160, 160)) for seed in (3, 4))
    for step in range(9):
        desk.put(f"{step}.png", encoded(Image.blend(one, other, step / 8)))
    found = desk.report()
    assert len(found["near"]) > 1
    assert all(copy["distance_bits"] <= 72 for group in found["near"] for copy in group["copies"])


def test_the_table_has_a_row_for_each_file_of_a_group(library: ScanDesk) -> None:
    file = library.beside / "found.csv"
    assert library.run("--report", file).returncode == 0
    with file.open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert [row["file"] for row in rows if row["kind"] == "exact" and row["keep"] == "yes"] == [
        "again/one.bmp"
    ]
    assert sum(row["kind"] == "exact" for row in rows) == 4
    assert {row["kind"] for row in rows} <= {"exact", "near", "copies of copies", "review"}


def test_the_sheet_shows_every_pair_with_its_pictures(library: ScanDesk) -> None:
    file = library.beside / "sheet.html"
    found = library.scan("--sheet", file)
    pairs = sum(len(group["copies"]) for kind in ("exact", "near") for group in found[kind])
    pairs += len(found["review"])
    html = file.read_text("utf-8")
    assert html.count("<article") == pairs
    assert html.count("data:image/jpeg;base64,") == 2 * pairs


def test_a_person_gets_a_summary_with_the_speed(library: ScanDesk) -> None:
    done = library.run()
    assert done.returncode == 0
    for text in (
        "images",
        "unreadable",
        "groups of the same pictures",
        "pairs to review",
        "images/s",
        "one.png",
    ):
        assert text in done.stdout


def test_what_cannot_be_scanned_is_said_in_a_sentence(desk: ScanDesk) -> None:
    assert "does not exist: give a folder" in desk.fails(folder=desk.beside / "nowhere")
    assert "must end in .json or .csv" in desk.fails("--report", desk.beside / "a.png")
    assert "must end in .html" in desk.fails("--sheet", desk.beside / "a.json")
    assert "does not exist: make it" in desk.fails("--report", desk.beside / "none" / "a.json")


def test_a_folder_without_pictures_is_said_to_be_one(desk: ScanDesk) -> None:
    with pytest.raises(ChildFailed, match="there are no pictures in"):
        desk.report()
    desk.put("notes.txt", b"Dear diary")
    with pytest.raises(ChildFailed, match="there are no pictures in"):
        desk.report()
    desk.put("a.png", b"Dear diary")
    with pytest.raises(ChildFailed, match=r"none of the 1 pictures .*; of the first: it does not begin as"):
        desk.report()


def test_json_is_one_document_and_the_report_is_the_same_without_the_clock(library: ScanDesk) -> None:
    file = library.beside / "report.json"
    said = library.scan("--report", file)
    report = json.loads(file.read_bytes())
    assert {name: said[name] for name in report} == report
    assert set(said) - set(report) == {"seconds", "images_per_s", "remembered"}
    assert list((library.beside / "user cache").rglob("dedup-scan.sqlite"))
