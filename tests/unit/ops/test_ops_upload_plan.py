"""What an upload sends: order, labels, what is left out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.values import Source
from services.ops.clients.errors import OpsError
from services.ops.clients.labels import read_label_table
from services.ops.clients.plan import UploadRules, plan_uploads, withheld
from services.ops.clients.ulid import ALPHABET, UlidSource
from services.ops.clients.uploads import BATCH_BYTES, BATCH_FILES, batches


def make(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode("utf-8", "surrogateescape"))
    return root


def plan(root: Path, **rules: object):
    return plan_uploads([root], UploadRules(**rules), UlidSource())  # type: ignore[arg-type]


def test_folder_names_are_the_labels_and_files_beside_them_have_none(tmp_path: Path) -> None:
    files = plan(make(tmp_path, "lion/a.jpg", "flamingo/juvenile/b.jpg", "loose.jpg")).files
    assert {file.file_name: file.label for file in files} == {
        "flamingo/juvenile/b.jpg": "flamingo/juvenile",
        "lion/a.jpg": "lion",
        "loose.jpg": None,
    }


def test_upload_ids_grow_in_file_order(tmp_path: Path) -> None:
    files = plan(make(tmp_path, *(f"c/{number:03}.png" for number in range(50)))).files
    assert [file.file_name for file in files] == sorted(file.file_name for file in files)
    assert [file.upload_id for file in files] == sorted({file.upload_id for file in files})


def test_hidden_files_and_the_label_table_stay_and_broken_files_go(tmp_path: Path) -> None:
    make(tmp_path, ".hidden.jpg", ".git/config", "lion/.DS_Store", "lion/notes.txt", "lion/empty.png")
    (tmp_path / "labels.csv").write_text("file,label\nempty.png,lion\n")
    assert [file.file_name for file in plan(tmp_path).files] == ["lion/empty.png", "lion/notes.txt"]


def test_links_that_lead_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    outside = make(tmp_path / "outside", "secret.jpg", "folder/b.jpg")
    inside = make(tmp_path / "inside", "lion/a.jpg")
    (inside / "lion" / "leak.jpg").symlink_to(outside / "secret.jpg")
    (inside / "leaked").symlink_to(outside / "folder")
    (inside / "lion" / "gone.jpg").symlink_to(inside / "nothing")
    (inside / "lion" / "again.jpg").symlink_to(inside / "lion" / "a.jpg")
    assert [file.file_name for file in plan(inside).files] == ["lion/a.jpg", "lion/again.jpg"]


def test_a_pipe_in_the_folder_does_not_hang_the_upload(tmp_path: Path) -> None:
    os.mkfifo(make(tmp_path, "lion/a.jpg") / "lion" / "pipe.jpg")
    assert [file.file_name for file in plan(tmp_path).files] == ["lion/a.jpg"]


def test_a_name_that_is_not_utf8_becomes_text_that_json_can_carry(tmp_path: Path) -> None:
    make(tmp_path, "lion/caf\udce9.jpg")
    [file] = plan(tmp_path).files
    assert file.file_name == "lion/caf\N{REPLACEMENT CHARACTER}.jpg"
    assert file.path.read_bytes()


def test_single_files_go_without_a_label(tmp_path: Path) -> None:
    make(tmp_path, "lion/a.jpg")
    [file] = plan_uploads([tmp_path / "lion" / "a.jpg"], UploadRules(), UlidSource()).files
    assert (file.file_name, file.label) == ("a.jpg", None)


def test_an_empty_folder_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(OpsError, match="no files to upload"):
        plan(tmp_path)


def test_the_table_labels_photos_in_a_subfolder_and_its_empty_cells_leave_them_without(
    tmp_path: Path,
) -> None:
    make(tmp_path, "photos/a.jpg", "photos/b.jpg", "photos/c.jpg")
    (tmp_path / "labels.csv").write_text(
        "file,label,group,scientific_name,guest,taken_at,source\n"
        'a.jpg,"Great, ""Horned"" Owl",Aves,Bubo,12,2022-07-08 17:53:02 +0200,staged\n'
        "b.jpg,,Aves,,,,\n"
        "gone.jpg,Lion,,,,,\n"
    )
    planned = plan(tmp_path)
    owl, blank, unlisted = planned.files
    assert owl.label == 'Great, "Horned" Owl'
    assert (owl.guest, owl.source) == ("12", Source.STAGED)
    assert owl.taken_at is not None
    assert owl.taken_at.isoformat() == "2022-07-08T17:53:02+02:00"
    assert (blank.label, blank.source, unlisted.label) == (None, Source.REAL, None)
    assert planned.missing == ("gone.jpg",)


def test_a_row_with_a_folder_speaks_of_that_folder_only(tmp_path: Path) -> None:
    make(tmp_path, "one/a.jpg", "two/a.jpg")
    (tmp_path / "labels.csv").write_text("file,label\none/a.jpg,lion\n")
    assert [file.label for file in plan(tmp_path).files] == ["lion", None]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name,label\na.jpg,lion\n", "no column 'file'"),
        ("", "no column 'file'"),
        ("file,source\na.jpg,painted\n", "line 2: source 'painted'"),
        ("file,taken_at\nx.jpg,\na.jpg,yesterday\n", "line 3: taken_at 'yesterday'"),
        ("file,label\na.jpg," + "x" * 201 + "\n", "201 characters"),
        ("file,guest\na.jpg," + "x" * 201 + "\n", "201 characters"),
    ],
)
def test_a_table_that_cannot_be_used_names_the_place(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(OpsError, match=problem):
        read_label_table(path)


def test_a_table_in_another_encoding_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(b"file,label\na.jpg,L\xf6we\n")
    with pytest.raises(OpsError, match="save it as UTF-8"):
        read_label_table(path)


def test_a_table_saved_by_a_spreadsheet_is_read(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(b"\xef\xbb\xbfFile,Label\r\nphotos\\a.jpg,lion\r\n")
    row = read_label_table(path).find("photos/a.jpg")
    assert row is not None
    assert row.label == "lion"


def test_the_fraction_without_label_is_about_right_and_always_the_same(tmp_path: Path) -> None:
    make(tmp_path, *(f"lion/{number}.jpg" for number in range(500)))
    first, second = (plan(tmp_path, unlabelled_fraction=0.2).files for _ in range(2))
    assert [file.label for file in first] == [file.label for file in second]
    assert 60 < sum(file.label is None for file in first) < 140


@given(st.text(max_size=50))
def test_no_label_is_kept_back_at_zero_and_every_one_at_one(name: str) -> None:
    assert not withheld(name, 0.0)
    assert withheld(name, 1.0)


@given(st.lists(st.integers(min_value=0, max_value=2**40), min_size=1, max_size=60))
def test_ulids_grow_whatever_the_clock_does(times: list[int]) -> None:
    clock = iter(times)
    source = UlidSource(lambda: next(clock), lambda bits: 2**bits - 1)
    ids = [source.next() for _ in times]
    assert ids == sorted(set(ids))
    assert all(len(one) == 26 and set(one) <= set(ALPHABET) for one in ids)


def test_a_ulid_spells_its_time() -> None:
    # The example of github.com/ulid/spec: 1469918176385 ms is 01ARYZ6S41.
    assert UlidSource(lambda: 1469918176385, lambda _: 0).next() == "01ARYZ6S41" + "0" * 16


@given(st.lists(st.integers(min_value=0, max_value=2 * BATCH_BYTES), max_size=120))
def test_batches_keep_order_and_limits(sizes: list[int]) -> None:
    files = [object() for _ in sizes]
    cut = batches(files, sizes)  # type: ignore[arg-type]
    assert [file for batch in cut for file in batch] == files
    size_of = dict(zip(map(id, files), sizes, strict=True))
    for batch in cut:
        assert 1 <= len(batch) <= BATCH_FILES
        assert len(batch) == 1 or sum(size_of[id(file)] for file in batch) <= BATCH_BYTES
