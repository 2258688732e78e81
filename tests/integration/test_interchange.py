"""A library travels through every format into another library, on real servers, by the command line."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from services.ops.clients.errors import OpsError
from services.ops.clients.library import Library, open_library
from services.ops.interchange import exporting
from services.ops.interchange.formats import FORMATS
from tests.support.ingest_service import TOKEN
from tests.support.interchange_house import Desk
from tests.support.pictures import RULES, bad_input, decoded, encoded, noise
from tests.support.servers import Broker, S3Server

pytestmark = pytest.mark.integration

TRAVELS = (
    "image_id", "label", "kind", "source", "guest", "visit", "tags", "taken_at", "upstream_id", "benchmark", "file_name",
)  # fmt: skip
"""What another library knows after a round trip; of the rest it makes up its own mind."""
FOLDERS = (
    "lion",
    "flamingo/juvenile",
    "_unknown/Unknown Bird",
    "_out-of-scope/popcorn",
    "_rejected/my thumb",
    "",
)
HOSTILE = '../../<b>\N{RIGHT-TO-LEFT OVERRIDE}, "x"\n=1+1'


@pytest.fixture
def desk(
    broker: Broker,
    weed: S3Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Desk:
    broker.provision()
    weed.store()  # makes the buckets
    return Desk(broker, weed, tmp_path, monkeypatch, capsys)


def make_folder(root: Path) -> Path:
    """An ImageFolder with every kind of label."""
    for number, folder in enumerate(FOLDERS):
        for copy in range(3):
            path = root / folder / f"{number}{copy}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(noise(30, 20, 10 * number + copy), "JPEG"))
    return root


def make_manifest(root: Path) -> Path:
    """Pictures of which everything is known."""
    root.mkdir()
    with (root / "manifest.csv").open("w", newline="") as sink:
        writer = csv.writer(sink)
        writer.writerow(
            [
                "file",
                "label",
                "label_kind",
                "source",
                "guest",
                "visit",
                "taken_at",
                "tags",
                "upstream_id",
                "benchmark",
            ]
        )
        for number, (image_format, source) in enumerate(
            (("PNG", "staged"), ("WEBP", "synthetic"), ("GIF", "real"))
        ):
            name = f"{number}.dat"
            (root / name).write_bytes(encoded(noise(20, 30, 100 + number), image_format))
            writer.writerow([
                name, HOSTILE, "class", source, f"guest, {number}", "2026;1", f"2026-07-0{number + 1}T23:30:00.5-03:30",
                json.dumps(["dusk, rain", HOSTILE]), f"A-{number}", "difficult" if number else "",
            ])  # fmt: skip
    return root


def state(url: str) -> dict[str, dict[str, Any]]:
    """The library's images by id."""

    async def ask() -> list[dict[str, Any]]:
        async with open_library(url, TOKEN) as library:
            return [row async for row in library.rows("/api/v1/images", "images")]

    return {row["image_id"]: {name: row[name] for name in TRAVELS} for row in asyncio.run(ask())}


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def stock(desk: Desk, tmp_path: Path) -> None:
    """Import both sources into the open library."""
    first = desk.run("import", make_folder(tmp_path / "folder"), "--source", "staged", "--by", "ann")
    assert (first["format"], first["accepted"], first["problems"]) == ("imagefolder", 18, [])
    second = desk.run("import", make_manifest(tmp_path / "manifest"))
    assert (second["format"], second["accepted"], second["problems"]) == ("csv", 3, [])


def test_a_library_goes_out_in_every_format_and_comes_into_another_one_whole(
    desk: Desk, tmp_path: Path
) -> None:
    with desk.library("first") as url:
        stock(desk, tmp_path)
        first = state(url)
        for name in FORMATS:
            told = desk.run("export", tmp_path / name, "--format", name, "--shard-images", 8)
            assert told["images"] == len(first) == 21
        desk.run("export", tmp_path / "again", "--format", "webdataset", "--shard-images", 8)
    assert {row["kind"] for row in first.values()} == {"class", "unknown", "out-of-scope", "rejected", None}
    assert files_of(tmp_path / "again") == files_of(tmp_path / "webdataset")
    for name in FORMATS:
        with desk.library(f"second-{name}") as url:
            told = desk.run("import", tmp_path / name)
            assert (told["format"], told["accepted"], told["problems"]) == (name, 21, [])
            assert told["other_bytes"] == 0
            second = state(url)
            kept = ("image_id", "label", "kind") if name == "imagefolder" else TRAVELS
            for image_id, row in first.items():
                assert {key: second[image_id][key] for key in kept} == {key: row[key] for key in kept}


def test_the_same_import_twice_adds_nothing(desk: Desk, tmp_path: Path) -> None:
    with desk.library("first") as url:
        stock(desk, tmp_path)
        before = state(url)
        told = desk.run("import", tmp_path / "manifest")
        assert (told["sent"], told["repeated"], told["accepted"], told["problems"]) == (3, 3, 0, [])
        assert state(url) == before


def test_what_ingest_refuses_is_told_by_its_place_and_the_rest_is_taken(desk: Desk, tmp_path: Path) -> None:
    folder = make_manifest(tmp_path / "manifest")
    (folder / "text.png").write_bytes(bad_input()["a text named .jpg"][0])
    with (folder / "manifest.csv").open("a") as sink:
        sink.write("text.png\ngone.png\n")
    with desk.library("first") as url:
        told = desk.run("import", folder, code=1)
        assert (told["found"], told["sent"], told["accepted"], told["rejected"]) == (5, 4, 3, 1)
        problems = {one["where"]: one["problem"] for one in told["problems"]}
        assert "not-an-image" in problems["manifest.csv line 8"]
        assert "cannot be read" in problems["manifest.csv line 9"]
        assert len(state(url)) == 3
        assert "manifest.csv line 9" in desk.errors


def test_an_export_can_be_narrowed_and_normalised(desk: Desk, tmp_path: Path) -> None:
    with desk.library("first"):
        stock(desk, tmp_path)
        told = desk.run(
            "export",
            tmp_path / "out",
            "--format",
            "parquet",
            "--label",
            "flamingo",
            "--pictures",
            "normalised",
        )
        assert told["images"] == 3
        pictures = list((tmp_path / "out" / "images").iterdir())
        assert {path.suffix for path in pictures} == {".png"}
        for path in pictures:
            assert decoded(path.read_bytes()).size == (RULES.image_size_px,) * 2
        told = desk.run("export", tmp_path / "none", "--format", "csv", "--pictures", "none", "--unlabelled")
        assert told["images"] == 3
        assert sorted(files_of(tmp_path / "none")) == ["manifest.csv"]
        desk.run("export", tmp_path / "out", "--format", "hf", code=1)
        assert "is not empty" in desk.errors
        desk.run("export", tmp_path / "new", "--format", "hf", "--flag", "ugly", code=1)
        assert not (tmp_path / "new").exists()


class Failing(Library):
    """Loses its connection for good after some pictures."""

    left = 7

    async def content(self, path: str) -> bytes:
        self.left -= 1
        if self.left < 0:
            raise OpsError("the cable was pulled")
        return await super().content(path)


class Counting(Library):
    """Counts the pictures it fetches."""

    fetched = 0

    async def content(self, path: str) -> bytes:
        self.fetched += 1
        return await super().content(path)


def export(kind: type[Library], url: str, plan: exporting.ExportPlan) -> Library:
    async def work() -> Library:
        async with open_library(url, TOKEN) as library:
            mine = kind(library._client)
            await exporting.export(mine, plan, await exporting.list_records(mine), lambda count: None)
            return mine

    return asyncio.run(work())


@pytest.mark.parametrize("name", ["imagefolder", "webdataset"])
def test_an_interrupted_export_is_visibly_so_and_the_next_one_goes_on(
    name: str, desk: Desk, tmp_path: Path
) -> None:
    plan = exporting.ExportPlan(tmp_path / "out", FORMATS[name], shard_images=4)
    with desk.library("first") as url:
        stock(desk, tmp_path)
        with pytest.raises(OpsError, match="the cable was pulled"):
            export(Failing, url, plan)
        assert not plan.out.exists()
        assert plan.partial.is_dir()
        whole = [
            path for path in plan.partial.rglob("*") if len(path.stem) == 64 and path.suffix != ".partial"
        ]
        assert bool(whole) == (name == "imagefolder")
        (plan.partial / "stale.jpg").write_bytes(b"from another day")
        counting = export(Counting, url, plan)
        assert isinstance(counting, Counting)
        assert counting.fetched == 21 - len(whole)
        desk.run("export", tmp_path / "whole", "--format", name, "--shard-images", 4)
    assert not plan.partial.exists()
    assert files_of(plan.out) == files_of(tmp_path / "whole")
    for path in plan.out.rglob("*.jpg"):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.stem
    for path in plan.out.glob("*.tar"):
        subprocess.run(["tar", "tf", path], check=True, capture_output=True)
