"""What a format holds (the table of docs/interchange.md) comes back as it was."""

from __future__ import annotations

import io
import json
import subprocess
import tempfile
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
import webdataset
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from contracts.values import LabelKind, Suggestion
from services.ops.interchange import imagefolder, web_dataset
from services.ops.interchange.formats import FORMATS, find
from services.ops.interchange.records import COLUMNS, Record, record_of
from tests.support.interchange_records import (
    HOSTILE,
    content,
    libraries,
    picture,
    read_all,
    records,
    text,
    write_all,
)

ALL = set(COLUMNS)
HELD = {
    "imagefolder": {"file", "label", "label_kind"},
    "csv": ALL,
    "parquet": ALL,
    "hf": ALL,
    "label-studio": ALL,
    "webdataset": ALL,
}
HOSTILE_LIBRARY = [
    record_of(
        {
            "image_id": f"{number:064x}",
            "label": one,
            "label_kind": kind.value,
            "tags": [one[:100]],
            "guest": one,
        }
    )
    for number, (one, kind) in enumerate(zip(HOSTILE, cycle(LabelKind), strict=False))
]
few = settings(max_examples=20)  # each one writes a folder per format


def held(record: Record, names: set[str]) -> dict[str, Any]:
    """What is said in the fields that the format holds."""
    return {name: getattr(record, name) for name in names}


@pytest.mark.parametrize("name", FORMATS)
@few
@given(library=libraries())
@example(library=HOSTILE_LIBRARY)
def test_writing_and_reading_gives_the_same_records_and_pictures(name: str, library: list[Record]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        placed = write_all(name, Path(folder), library)
        rows = read_all(name, Path(folder)) if library or name not in ("imagefolder", "webdataset") else []
        assert [row.problem for row in rows if row.problem] == []
        read = {row.record.file: (held(row.record, HELD[name]), content(row)) for row in rows if row.record}
        assert read == {one.file: (held(one, HELD[name]), picture(one)) for one in placed}
        assert len(rows) == len(library)


@pytest.mark.parametrize("name", FORMATS)
@few
@given(library=libraries())
def test_the_same_library_gives_the_same_bytes(name: str, library: list[Record]) -> None:
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        for folder in (first, second):
            write_all(name, Path(folder), library)
        files = [
            {
                str(path.relative_to(folder)): path.read_bytes()
                for path in Path(folder).rglob("*")
                if path.is_file()
            }
            for folder in (first, second)
        ]
        assert files[0] == files[1]


@given(text(200).filter(str.strip), st.sampled_from(LabelKind))
def test_a_label_s_folder_is_a_safe_path_that_says_it_back(label: str, kind: LabelKind) -> None:
    record = record_of({"label": label, "label_kind": kind.value})
    folder = imagefolder.place(record, "x.png").removesuffix("/x.png")
    for part in folder.split("/"):
        assert part
        assert not part.startswith(".")
        assert part[-1] not in ". "
        assert len(part.encode()) <= 255
        assert not set(part) & set('\\:*?"<>|\0\n\r')
    assert imagefolder.label_of(folder) == (record.label, kind)


def test_usual_labels_are_usual_folders() -> None:
    folder = imagefolder.folder_of
    assert folder("flamingo/juvenile", LabelKind.CLASS) == "flamingo/juvenile"
    assert folder('Great "Horned" Owl', LabelKind.CLASS) == "Great %22Horned%22 Owl"
    assert folder("Löwe", LabelKind.CLASS) == "Löwe"
    assert folder("Unknown Bird", LabelKind.UNKNOWN) == "_unknown/Unknown Bird"
    assert folder("Unknown Bird", LabelKind.CLASS) == "_class/Unknown Bird"


def test_a_foreign_folder_leaves_the_kind_of_an_unknown_to_the_library() -> None:
    assert imagefolder.label_of("Random Plant") == ("Random Plant", None)
    assert imagefolder.label_of("lion") == ("lion", LabelKind.CLASS)
    assert imagefolder.label_of("100% cotton") == ("100% cotton", LabelKind.CLASS)
    assert imagefolder.label_of("_unknown") == ("unknown", LabelKind.UNKNOWN)
    assert imagefolder.label_of("_misc") == ("_misc", LabelKind.CLASS)


@few
@given(records())
def test_what_a_model_said_goes_out_to_label_studio_and_does_not_come_back(record: Record) -> None:
    said = Suggestion.model_validate({"model_version": "007", "top": [{"label": "lion", "confidence": 97.5}]})
    with tempfile.TemporaryDirectory() as folder:
        write_all("label-studio", Path(folder), [record.model_copy(update={"suggestion": said})])
        [task] = json.loads(Path(folder, "tasks.json").read_text())
        [row] = read_all("label-studio", Path(folder))
    [prediction] = task["predictions"]
    assert (prediction["model_version"], prediction["score"]) == ("007", 0.975)
    assert prediction["result"][0]["value"] == {"choices": ["lion"]}
    assert task["data"]["image"] == f"/data/local-files/?d=images/{record.image_id}.png"
    assert row.record is not None
    assert (row.record.suggestion, row.suggestions) == (None, 1)


def png(colour: str) -> bytes:
    sink = io.BytesIO()
    Image.new("RGB", (4, 4), colour).save(sink, "PNG")
    return sink.getvalue()


def test_the_webdataset_package_reads_our_shards_and_gnu_tar_lists_them(tmp_path: Path) -> None:
    library = [
        record_of({"image_id": "a" * 64, "label": "lion", "label_kind": "class", "tags": ["dusk"]}),
        record_of({"image_id": "b" * 64, "label": "ape/young", "label_kind": "class"}),
        record_of({"image_id": "c" * 64, "label": "Unknown Bird", "label_kind": "unknown"}),
    ]
    colours = {"a" * 64: png("red"), "b" * 64: png("green"), "c" * 64: png("blue")}
    names = ["ape/young", "lion"]
    assert web_dataset.class_names(library) == names
    path = tmp_path / "shard-000000.tar"
    with path.open("wb") as sink:
        shard = web_dataset.ShardWriter(sink, names)
        shard.extend(library, [colours[str(one.image_id)] for one in library])
        shard.close()
    data = webdataset.WebDataset(str(path), shardshuffle=False).decode("pil").to_tuple("png", "cls", "json")
    samples = list(data)
    assert [number for _, number, _ in samples] == [1, 0, -1]
    assert [pixels.getpixel((0, 0)) for pixels, _, _ in samples] == [(255, 0, 0), (0, 128, 0), (0, 0, 255)]
    assert samples[0][2]["tags"] == ["dusk"]
    listed = subprocess.run(["tar", "tf", path], capture_output=True, text=True, check=True).stdout.split()
    assert listed[:3] == [f"{'a' * 64}.cls", f"{'a' * 64}.json", f"{'a' * 64}.png"]
    assert len(listed) == 9


def test_the_metadata_of_hugging_face_has_its_documented_layout(tmp_path: Path) -> None:
    library = [
        record_of({"image_id": "a" * 64, "label": "lion", "label_kind": "class", "file_name": "my lion.jpg"}),
        record_of({"image_id": "b" * 64}),
    ]
    write_all("hf", tmp_path, library)
    lines = [json.loads(line) for line in (tmp_path / "metadata.jsonl").read_text().splitlines()]
    assert [next(iter(line)) for line in lines] == ["file_name"] * 2
    assert {tuple(line) for line in lines} == {tuple(lines[0])}
    for line in lines:
        assert (tmp_path / line["file_name"]).is_file()
    assert lines[0]["original_file_name"] == "my lion.jpg"
    assert isinstance(lines[1]["tags"], list)


@pytest.mark.parametrize("name", FORMATS)
def test_a_folder_says_what_it_is(name: str, tmp_path: Path) -> None:
    write_all(name, tmp_path, HOSTILE_LIBRARY[:3])
    assert find(tmp_path).format.name == name
