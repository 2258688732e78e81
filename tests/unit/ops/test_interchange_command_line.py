"""What ``menagerie import`` and ``menagerie export-images`` promise before any stack runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from contracts.values import LabelKind
from services.ops import cli
from services.ops.clients.errors import OpsError
from services.ops.clients.labels import read_label_table
from services.ops.clients.plan import UploadRules, plan_uploads
from services.ops.clients.ulid import UlidSource
from tests.support.interchange_records import PNG


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A manifest of two pictures, one of which is missing."""
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "a.png").write_bytes(PNG)
    (folder / "manifest.csv").write_text("file,label\na.png,lion\ngone.png,ape\n")
    return folder


def run(*arguments: object) -> int:
    try:
        cli.main([str(one) for one in arguments])
    except SystemExit as ended:
        return int(str(ended.code or 0))
    return 0


def test_a_dry_run_needs_no_stack_and_tells_what_it_found(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("import", source, "--dry-run", "--json") == 1
    shown = capsys.readouterr()
    told = json.loads(shown.out)
    [problem] = told.pop("problems")
    assert told == {
        "format": "csv", "found": 2, "labelled": 1, "label_kinds": {"not said": 1}, "labels": 1,
        "suggestions_ignored": 0, "dry_run": True, "sent": 0, "accepted": 0, "repeated": 0, "rejected": 0,
        "other_bytes": 0,
    }  # fmt: skip
    assert problem["where"] == "manifest.csv line 3"
    assert "menagerie: manifest.csv line 3: file 'gone.png' cannot be read" in shown.err
    assert "is csv, 1 file" in shown.err
    (source / "gone.png").write_bytes(PNG)
    assert run("import", source, "--dry-run") == 0


def test_an_import_without_a_stack_says_how_to_start_one(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("import", source, "--data-dir", tmp_path / "data") == 1
    assert "menagerie up" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--format", "coco"], "format 'coco' is not known: use hf, parquet, csv"),
        (["--format", "csv", "--pictures", "some"], "pictures 'some' are not known"),
        (["--format", "hf", "--pictures", "none"], "hf needs its pictures"),
        (["--format", "csv"], "is not empty"),
    ],
)
def test_an_export_that_cannot_be_done_is_refused_before_anything_is_asked(
    arguments: list[str], sentence: str, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("export", source, *arguments) == 1
    assert sentence in capsys.readouterr().err


def test_a_folder_in_the_way_that_is_not_ours_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    thesis = tmp_path / "out.partial" / "thesis.txt"
    thesis.parent.mkdir()
    thesis.write_text("years of work")
    assert run("export", tmp_path / "out", "--format", "csv") == 1
    assert "no export made it" in capsys.readouterr().err
    assert thesis.read_text() == "years of work"


def test_an_upload_says_everything_its_table_knows_and_nothing_else(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "labels.csv").write_text(
        "file,label,label_kind,guest,visit,tags,upstream_id,benchmark\n"
        'a.jpg,popcorn,out-of-scope,12,3,"dusk; rain",A-1,difficult\n'
    )
    rules = UploadRules(guest="all", tags=("zoo", "rain"))
    first, second = plan_uploads([tmp_path], rules, UlidSource()).files
    assert (first.label_kind, first.guest, first.tags) == (
        LabelKind.OUT_OF_SCOPE,
        "12",
        ("zoo", "rain", "dusk"),
    )
    assert first.meta() == {
        "upload_id": first.upload_id, "file_name": "a.jpg", "label": "popcorn", "label_kind": "out-of-scope",
        "source": "real", "guest": "12", "visit": "3", "tags": ["zoo", "rain", "dusk"], "upstream_id": "A-1",
        "benchmark": "difficult", "uploaded_by": "upload",
    }  # fmt: skip
    assert second.meta() == {
        "upload_id": second.upload_id, "file_name": "b.jpg", "source": "real", "guest": "all",
        "tags": ["zoo", "rain"], "uploaded_by": "upload",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("column", "cell", "problem"),
    [
        ("label_kind", "sort-of", "label_kind 'sort-of' is not known"),
        ("visit", "x" * 201, "visit has 201 characters"),
        ("upstream_id", "x" * 201, "upstream_id has 201 characters"),
        ("benchmark", "x" * 101, "benchmark has 101 characters"),
        ("tags", "x" * 101, "101 characters"),
        ("tags", ";".join(map(str, range(51))), "51 tags are more than 50"),
        ("tags", "[1]", "cannot be read"),
    ],
)
def test_a_cell_beyond_what_the_library_stores_names_its_line(
    column: str, cell: str, problem: str, tmp_path: Path
) -> None:
    (tmp_path / "labels.csv").write_text(f"file,{column}\na.jpg,\nb.jpg,{cell}\n")
    with pytest.raises(OpsError, match="line 3") as told:
        read_label_table(tmp_path / "labels.csv")
    assert problem in str(told.value)
