"""Sources from strangers: what is broken or unsafe is told with its place, and the rest goes on."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.values import LabelKind, Source
from services.ops.clients.errors import OpsError
from services.ops.interchange.formats import find
from services.ops.interchange.importing import survey
from services.ops.interchange.records import BadRow, Record, record_of
from tests.support.interchange_records import PNG, good, problems, read_all


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with two pictures, beside a file that is none of the source's business."""
    (tmp_path / "secret.png").write_bytes(PNG + b"secret")
    folder = tmp_path / "source"
    (folder / "images").mkdir(parents=True)
    for name in "ab":
        (folder / "images" / f"{name}.png").write_bytes(PNG + name.encode())
    return folder


def write_csv(folder: Path, files: list[str]) -> None:
    (folder / "manifest.csv").write_text("file,label\n" + "".join(f'"{one}",lion\n' for one in files))


def write_hf(folder: Path, files: list[str]) -> None:
    (folder / "metadata.jsonl").write_text("".join(json.dumps({"file_name": one}) + "\n" for one in files))


def write_tasks(folder: Path, files: list[str]) -> None:
    tasks = [{"data": {"image": f"/data/local-files/?d={one}"}} for one in files]
    (folder / "tasks.json").write_text(json.dumps(tasks))


def write_parquet(folder: Path, files: list[str]) -> None:
    pq.write_table(pa.table({"file": files}), folder / "manifest.parquet")


@pytest.mark.parametrize("write", [write_csv, write_hf, write_tasks, write_parquet])
@pytest.mark.parametrize(
    "file",
    [
        "../secret.png",
        "images/../../secret.png",
        "..\\\\secret.png",
        "link.png",
        "linked/secret.png",
        "{root}/secret.png",
        "gone.png",
        "images",
        "pipe.png",
        "",
    ],
)
def test_a_file_that_is_not_a_picture_below_the_folder_is_refused_and_the_next_is_read(
    write: Callable[[Path, list[str]], None], file: str, source: Path
) -> None:
    (source / "link.png").symlink_to(source.parent / "secret.png")
    (source / "linked").symlink_to(source.parent)
    os.mkfifo(source / "pipe.png")
    write(source, [file.replace("{root}", str(source.parent)), "images/a.png"])
    rows = list(find(source).rows())
    [problem] = problems(rows).values()
    assert problem
    assert [one.file for one in good(rows)] == ["images/a.png"]


@pytest.mark.parametrize(
    "image", ["http://127.0.0.1/a.png", "https://x/a.png", "s3://b/a.png", "//host/a.png"]
)
def test_nothing_is_fetched_from_an_address(image: str, source: Path) -> None:
    (source / "tasks.json").write_text(json.dumps([{"data": {"image": image}}]))
    [problem] = problems(read_all("label-studio", source)).values()
    assert "nothing is fetched from addresses" in problem
    assert "put the picture beside the tasks" in problem


def test_broken_csv_rows_are_told_by_line_and_the_rest_is_read(source: Path) -> None:
    (source / "manifest.csv").write_bytes(
        b"\xef\xbb\xbfFile,label,label_kind,source,taken_at,tags,further\r\n"
        b'images/a.png,"two\nlines",,,,,x\r\n'
        b"images/a.png,lion,sort-of,,,,\r\n"
        b"images/a.png,lion,,painted,,,\r\n"
        b"images/a.png,lion,,,yesterday,,\r\n"
        b'images/a.png,lion,,,,"[1, 2]",\r\n'
        b"images/a.png,L\xf6we,,,,,\r\n"
        b"images/a.png," + b"x" * 201 + b",,,,,\r\n"
        b"\r\n"
        b'images\\b.png, Lion ,CLASS,Staged,2022-07-08 17:53:02 +0200,"dusk; north gate",x\r\n'
    )
    rows = read_all("csv", source)
    assert {where.removeprefix("manifest.csv line "): told.split()[0] for where, told in problems(rows).items()} == {
        "4": "label_kind", "5": "source", "6": "taken_at", "7": "tags", "8": "label", "9": "label",
    }  # fmt: skip
    first, last = good(rows)
    assert first.label == "two\nlines"
    assert (last.label, last.label_kind, last.source) == ("Lion", LabelKind.CLASS, Source.STAGED)
    assert last.tags == ("dusk", "north gate")
    assert last.taken_at is not None
    assert last.taken_at.isoformat() == "2022-07-08T15:53:02+00:00"


def test_broken_lines_of_json_are_told_by_line(source: Path) -> None:
    (source / "metadata.jsonl").write_bytes(
        b'{"file_name": "images/a.png", "label": "lion", "text": "a caption"}\n'
        b'{"file_name": "images/a.png"\n'
        b'["images/a.png"]\n' + b"[" * 100_000 + b"\n"
        b'{"file_name": "images/a.png", "label": {"x": 1}}\n'
        b'{"file_name": "images/a.png", "label": "\\ud800"}\n'
        b"\n"
        b'{"file_name": "images/b.png", "label": 3}\n'
    )
    rows = read_all("hf", source)
    assert list(problems(rows)) == [f"metadata.jsonl line {number}" for number in (2, 3, 4, 5, 6)]
    assert [one.label for one in good(rows)] == ["lion", "3"]


def test_splits_of_hugging_face_are_read_together(source: Path) -> None:
    for split in ("train", "test"):
        (source / split).mkdir()
        (source / split / "0.png").write_bytes(PNG)
        (source / split / "metadata.jsonl").write_text('{"file_name": "0.png"}\n{"file_name": "1.png"}\n')
    found = find(source)
    assert (found.format.name, len(found.sources)) == ("hf", 2)
    assert list(problems(list(found.rows()))) == ["test/metadata.jsonl line 2", "train/metadata.jsonl line 2"]


def test_a_data_frame_s_parquet_is_read(source: Path) -> None:
    table = pa.table({
        "file": ["images/a.png", "images/b.png"],
        "label": pa.array([1, None], pa.int64()),
        "guest": pa.array([float("nan"), float("nan")]),
        "taken_at": pa.array([1, None], pa.timestamp("ns")),
        "further": [b"x", b"y"],
    })  # fmt: skip
    pq.write_table(table, source / "animals.parquet")
    first, second = good(read_all("parquet", source / "animals.parquet"))
    assert (first.label, first.guest, second.label, second.taken_at) == ("1", None, None, None)
    assert first.taken_at is not None
    assert first.taken_at.tzinfo is not None


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("manifest.csv", b"picture\na.png\n", "has no column 'file'"),
        ("manifest.csv", b"", "is empty"),
        ("manifest.parquet", b"PAR1 no", "is not readable Parquet"),
        ("tasks.json", b"{}", "is not a list of tasks"),
        ("tasks.json", b"[", "is not JSON"),
        ("tasks.json", b"[" * 100_000, "is not JSON"),
    ],
)
def test_a_manifest_that_cannot_be_read_at_all_says_why(
    name: str, content: bytes, sentence: str, source: Path
) -> None:
    (source / name).write_bytes(content)
    with pytest.raises(OpsError, match=sentence):
        survey(find(source))


TASK: dict[str, Any] = {"data": {"image": "images/a.png", "label": "Unknown Bird", "label_kind": "unknown"}}


def chosen(*labels: str, **fields: Any) -> dict[str, Any]:
    parts = [{"type": "choices", "value": {"choices": [one]}} for one in labels]
    return {"result": [{"type": "rectanglelabels", "value": {"x": 1}}, *parts], **fields}


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ([chosen("lion")], ("lion", None)),
        ([chosen("Unknown Bird")], ("Unknown Bird", LabelKind.UNKNOWN)),
        ([chosen("ape"), chosen("ape"), chosen("lion", was_cancelled=True)], ("ape", None)),
        ([chosen()], (None, None)),
        ([], (None, None)),
    ],
)
def test_the_annotators_label_counts_and_its_kind_only_if_it_is_still_the_same(
    annotations: list[dict[str, Any]], expected: tuple[str | None, LabelKind | None], source: Path
) -> None:
    (source / "tasks.json").write_text(json.dumps([{**TASK, "annotations": annotations}]))
    [record] = good(read_all("label-studio", source))
    assert (record.label, record.label_kind) == expected


@pytest.mark.parametrize(
    ("task", "problem"),
    [
        ({**TASK, "annotations": [chosen("lion"), chosen("ape")]}, "has the labels 'ape' and 'lion'"),
        ({**TASK, "annotations": [chosen("lion", "ape")]}, "has the labels"),
        ({**TASK, "annotations": [{"result": [{"value": {"choices": [3]}}]}]}, "is not a text"),
        ({**TASK, "annotations": "lion"}, "not a list"),
        ({"image": "images/a.png", "choice": "lion"}, "not as JSON-MIN"),
        ({"data": {"text": "hello"}}, "names no picture"),
        (3, "has no 'data'"),
    ],
)
def test_a_task_that_cannot_be_used_is_told(task: object, problem: str, source: Path) -> None:
    (source / "tasks.json").write_text(json.dumps([task]))
    [(where, told)] = problems(read_all("label-studio", source)).items()
    assert where == "tasks.json task 1"
    assert problem in told


def test_a_folder_that_could_be_two_things_asks(source: Path) -> None:
    write_csv(source, ["images/a.png"])
    write_hf(source, ["images/a.png"])
    with pytest.raises(OpsError, match=r"could be hf .* and csv .*--format"):
        find(source)
    assert find(source, "csv").format.name == "csv"


def test_a_folder_without_the_usual_name_is_read_when_only_one_file_fits(source: Path) -> None:
    (source / "zoo.csv").write_text("file\nimages/a.png\n")
    assert find(source).format.name == "imagefolder"
    assert find(source, "csv").sources == (source / "zoo.csv",)
    (source / "other.csv").write_text("file\n")
    with pytest.raises(OpsError, match="2 files"):
        find(source, "csv")


@pytest.mark.parametrize(
    ("name", "sentence"), [("images/a.png", "menagerie upload"), ("nothing", "check the path")]
)
def test_a_path_that_is_no_source_says_what_to_do(name: str, sentence: str, source: Path) -> None:
    with pytest.raises(OpsError, match=sentence):
        find(source / name)


@given(
    st.dictionaries(
        st.sampled_from(sorted(Record.model_fields)),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats()
            | st.text()
            | st.binary()
            | st.datetimes(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=3,
        ),
    )
)
def test_any_cells_make_a_record_or_a_sentence(cells: dict[str, Any]) -> None:
    with contextlib.suppress(BadRow):
        record = record_of(cells)
        assert record.label_kind is None or record.label is not None
