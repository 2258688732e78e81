"""Tar shards from strangers: read member by member, never unpacked, never taken for whole when cut."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ops.interchange import pictures
from tests.support.interchange_records import PNG, good, problems, read_all


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """An empty folder."""
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


def write_tar(path: Path, *members: tuple[str, bytes | str]) -> None:
    """Members with bytes are files, those with a text links to it."""
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            member = tarfile.TarInfo(name)
            if isinstance(data, str):
                member.type, member.linkname = tarfile.SYMTYPE, data
                tar.addfile(member)
            else:
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))


def test_members_that_are_no_plain_files_below_the_archive_are_refused_and_the_rest_is_read(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "MAX_PICTURE_BYTES", 100)
    write_tar(
        source / "x.tar",
        ("../up.png", PNG),
        ("/etc/up.png", PNG),
        ("a/../../up.png", PNG),
        ("link.png", "/etc/passwd"),
        ("large.png", PNG + bytes(100)),
        ("long.json", bytes(2**20 + 1)),
        ("README.md", b"hello"),
        ("good.png", PNG),
        ("good.cls", b"lion\n"),
        ("good.json", b'{"guest": "12"}'),
        ("train/001.jpg", PNG),
        ("train/001.json", b'{"label": "ape", "tags": ["x"]}'),
        ("two.png", PNG),
        ("two.jpg", PNG),
        ("broken.png", PNG),
        ("broken.json", b"{"),
    )
    rows = read_all("webdataset", source)
    assert [(one.file, one.label, one.guest, one.tags) for one in good(rows)] == [
        ("good.png", "lion", "12", ()),
        ("train/001.jpg", "ape", None, ("x",)),
    ]
    told = problems(rows)
    assert sum("leads out of the archive" in one for one in told.values()) == 3
    assert "x.tar member 'link.png'" in told
    assert "x.tar member 'large.png'" in told
    assert "x.tar sample 'two'" in told
    assert "x.tar sample 'broken'" in told
    assert sorted(path.name for path in source.iterdir()) == ["x.tar"]


def test_a_class_number_is_looked_up_in_the_list_beside_the_shard(source: Path) -> None:
    write_tar(
        source / "x.tar", *((f"{n}.{suffix}", data) for n, text in enumerate((b"1", b"-1", b"7", b"lion"))
                            for suffix, data in (("cls", text), ("png", PNG)))
    )  # fmt: skip
    assert [one.label for one in good(read_all("webdataset", source))] == ["1", "-1", "7", "lion"]
    (source / "classes.json").write_text('["ape", "lion"]')
    rows = read_all("webdataset", source)
    assert [one.label for one in good(rows)] == ["lion", None]
    assert list(problems(rows)) == ["x.tar sample '2'", "x.tar sample '3'"]


@given(st.integers(0, 10_240), st.binary(max_size=600))
@settings(max_examples=60)
def test_a_damaged_shard_never_passes_for_a_whole_one(tmp_path_factory: Any, place: int, junk: bytes) -> None:
    folder = tmp_path_factory.mktemp("tar")
    write_tar(folder / "x.tar", *((f"{number}.png", PNG + bytes([number]) * 600) for number in range(4)))
    whole = (folder / "x.tar").read_bytes()
    cut = 4 * 1536  # four members of a header and two blocks each; then the end mark
    (folder / "x.tar").write_bytes(whole[: min(place, cut)] + junk[: place % 2 * 600])
    rows = read_all("webdataset", folder)
    assert problems(rows)
    for row in rows:
        assert row.picture is None or row.picture in whole or place % 2


def test_a_header_that_promises_terabytes_of_names_does_not_fill_the_memory(source: Path) -> None:
    member = tarfile.TarInfo("x")
    member.type, member.size = tarfile.XHDTYPE, 2**40
    (source / "x.tar").write_bytes(member.tobuf(tarfile.GNU_FORMAT) + bytes(10_240))
    [problem] = problems(read_all("webdataset", source)).values()
    assert "is not a whole tar file" in problem


def test_a_packed_shard_says_to_unpack_it(source: Path) -> None:
    (source / "x.tar").write_bytes(b"\x1f\x8b" + bytes(2000))
    [problem] = problems(read_all("webdataset", source)).values()
    assert "unpacked" in problem


def test_the_sentence_for_a_shard_s_missing_end_names_the_remedy(source: Path) -> None:
    write_tar(source / "x.tar", ("a.png", PNG))
    (source / "x.tar").write_bytes((source / "x.tar").read_bytes()[:1024])
    rows = read_all("webdataset", source)
    assert "copy it again" in problems(rows)["x.tar"]
