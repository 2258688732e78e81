"""The image library from the command line, as a subject-matter expert and an ML engineer use it."""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.demo_run import ROOT, menagerie, stack_up

pytestmark = pytest.mark.e2e

CLASSES = {"bonobo": 6, "chimp": 5, "flamingo/juvenile": 4, "Unknown Bird": 2}
ANSWER_S = 120.0


class Person:
    """Types commands and reads their JSON."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The command as it ended."""
        return subprocess.run(
            menagerie(*arguments, "--data-dir", str(self.data_dir)),
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=ANSWER_S,
        )  # fmt: skip

    def ask(self, *arguments: str) -> Any:
        """What it prints with ``--json``; it must end well."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def images(self, *filters: str) -> list[dict[str, Any]]:
        """Images of the library."""
        return list(self.ask("images", "--limit", "1000", *filters)["images"])

    def until(self, settled: int) -> None:
        """Wait for the library to hold that many compared images."""
        deadline = time.monotonic() + ANSWER_S
        while sum(row["verdict"] is not None for row in self.images()) < settled:
            assert time.monotonic() < deadline
            time.sleep(0.5)

    def classes(self) -> dict[str, int]:
        """Images per class of the newest taxonomy."""
        return {row["class_name"]: row["images"] for row in self.ask("classes")["classes"]}


def draw(folder: Path) -> int:
    """Noise of every class, one picture of it blurred beyond use."""
    drawn = 0
    for name, count in CLASSES.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            chance = random.Random(f"{name}{number}")
            picture = Image.frombytes("RGB", (160, 120), chance.randbytes(160 * 120 * 3))
            picture = picture.resize((320, 240), Image.Resampling.NEAREST)
            if number == 0 and name == "bonobo":
                blobs = Image.frombytes("RGB", (8, 6), chance.randbytes(8 * 6 * 3))
                picture = blobs.resize(picture.size, Image.Resampling.BICUBIC)
            picture.save(folder / name / f"{number}.jpg", quality=92)
            drawn += 1
    return drawn


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures") / "zoo"
    draw(folder)
    return folder


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> Iterator[Person]:
    """At a library with all the pictures, imported as a tree of folders."""
    data_dir = tmp_path_factory.mktemp("library") / "data"
    with stack_up(data_dir, "--set", "image_size_px=96"):
        person = Person(data_dir)
        assert person.ask("import", str(pictures))["format"] == "imagefolder"
        person.until(sum(CLASSES.values()))
        yield person


def test_images_are_found_by_label_flag_and_kind(person: Person) -> None:
    assert len(person.images("--label", "flamingo")) == 4
    assert {row["kind"] for row in person.images("--label", "Unknown Bird")} == {"unknown"}
    assert [row["file_name"] for row in person.images("--label", "bonobo", "--flag", "blurry")] == [
        "bonobo/0.jpg"
    ]


def test_labels_are_changed_in_bulk_and_brought_back(person: Person) -> None:
    ids = [row["image_id"] for row in person.images("--label", "chimp")]
    change = person.ask("label", *ids, "baboon", "--reason", "sorted again")
    assert len(person.images("--label", "baboon")) == 5
    person.ask("label-undo", change["change_id"])
    assert sorted(row["image_id"] for row in person.images("--label", "chimp")) == sorted(ids)
    history = person.ask("image", ids[0])["history"]
    assert [entry["to"] for entry in history] == ["chimp", "baboon", "chimp"]


def test_a_merge_is_seen_undone_and_sends_the_class_to_double_check(person: Person) -> None:
    before = person.classes()
    person.ask("taxonomy", "merge", "chimp", "bonobo", "--into", "chimp-bonobo")
    assert person.classes() == {"chimp-bonobo": 11, "flamingo/juvenile": 4}
    person.ask("taxonomy", "split", "chimp-bonobo")
    assert person.classes() == before
    assert len(person.images("--double-check")) == 11
    old = person.ask("taxonomy", "apply", "--version", "1")
    assert {row["class_name"]: row["images"] for row in old["classes"]}["chimp-bonobo"] == 11
    refused = person.run("taxonomy", "split", "chimp-bonobo")
    assert refused.returncode == 1
    assert len(refused.stderr.strip().splitlines()) == 1


def test_equal_states_are_one_snapshot_and_a_relabel_changes_only_the_manifest(person: Person) -> None:
    one, two = person.ask("snapshot"), person.ask("snapshot")
    assert one["snapshot_id"] == two["snapshot_id"]
    image_id = person.images("--label", "chimp")[0]["image_id"]
    person.ask("label", image_id, "bonobo")
    three = person.ask("snapshot")
    assert three["snapshot_id"] != one["snapshot_id"]
    assert three["shards_reused"] == three["shards"] == one["shards"]
    person.ask("label", image_id, "chimp")


@pytest.mark.parametrize("form", ["imagefolder", "csv", "parquet", "hf", "label-studio", "webdataset"])
def test_an_export_can_be_imported_and_adds_nothing_to_its_own_library(
    person: Person, form: str, tmp_path: Path
) -> None:
    held = person.images()
    exported = person.ask("export", str(tmp_path / form), "--format", form)
    assert exported["images"] == len(held)
    again = person.ask("import", str(tmp_path / form))
    assert again["format"] == form
    deadline = time.monotonic() + ANSWER_S
    while (images := person.ask("status")["images"])["uploaded"] != images["accepted"] + images[
        "exact_duplicates"
    ]:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert images["accepted"] == len(held)
