"""Which files of a folder are looked at, and in which order."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.dedup.scan.folder import FolderRefused, find


def names(folder: Path) -> list[str]:
    return [os.fsdecode(name) for name in find(folder).names]


def make(folder: Path, *below: str) -> None:
    for name in below:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def test_files_come_in_one_order_whatever_the_disk_says(tmp_path: Path) -> None:
    make(tmp_path, "b.png", "a/2.png", "a/1.png", "Z.png", "a/z/1.png", "c/1.png")
    assert names(tmp_path) == ["Z.png", "b.png", "a/1.png", "a/2.png", "a/z/1.png", "c/1.png"]


def test_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    make(tmp_path, ".a.png", ".thumbnails/b.png", "c.png")
    assert names(tmp_path) == ["c.png"]


def test_symbolic_links_are_not_followed_but_counted(tmp_path: Path) -> None:
    make(tmp_path, "a/1.png")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "same.png").symlink_to(tmp_path / "a" / "1.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere")
    found = find(tmp_path)
    assert found.names == [b"a/1.png"]
    assert found.links == 3


def test_pipes_and_sockets_are_left_out(tmp_path: Path) -> None:
    make(tmp_path, "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    assert names(tmp_path) == ["a.png"]


def test_names_that_are_no_text_are_kept_as_bytes(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff\xfe\n.png")).write_bytes(b"x")
    found = find(tmp_path)
    assert found.names == [b"\xff\xfe\n.png"]
    assert found.path(0) == os.fsencode(tmp_path) + b"/\xff\xfe\n.png"


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    make(tmp_path / "real", "a.png")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert names(tmp_path / "link") == ["a.png"]


def test_a_changed_file_has_another_key(tmp_path: Path) -> None:
    make(tmp_path, "a.png")
    before = find(tmp_path).keys
    assert find(tmp_path).keys == before
    (tmp_path / "a.png").write_bytes(b"more")
    assert find(tmp_path).keys != before


def test_no_folder_is_said_to_be_none(tmp_path: Path) -> None:
    make(tmp_path, "a.png")
    with pytest.raises(FolderRefused, match="does not exist: give a folder"):
        find(tmp_path / "nowhere")
    with pytest.raises(FolderRefused, match="no folder: give the one that it lies in"):
        find(tmp_path / "a.png")
