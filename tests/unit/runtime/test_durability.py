from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from services.runtime.durability import SyncBarrier


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths given to fsync, in order."""
    paths: list[str] = []
    real = os.fsync

    def recording(descriptor: int) -> None:
        paths.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", recording)
    return paths


def test_every_file_and_folder_is_synced(tmp_path: Path, synced: list[str]) -> None:
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume" / "1.dat").write_bytes(b"needle")
    SyncBarrier(tmp_path).sync()
    assert {str(tmp_path), str(tmp_path / "volume"), str(tmp_path / "volume" / "1.dat")} == set(synced)


def test_a_file_untouched_since_an_earlier_sync_is_left_alone(tmp_path: Path, synced: list[str]) -> None:
    old, new = tmp_path / "old.dat", tmp_path / "new.dat"
    old.write_bytes(b"1")
    barrier = SyncBarrier(tmp_path)
    barrier._began_wall_ns = old.stat().st_ctime_ns + 10_000_000_000  # as if a sync ran 10 s later
    new.write_bytes(b"2")
    os.utime(new, ns=(0, barrier._began_wall_ns + 1))
    barrier.sync()
    assert str(new) in synced
    assert str(old) not in synced


def test_a_write_after_a_sync_is_covered_by_the_next(tmp_path: Path, synced: list[str]) -> None:
    file = tmp_path / "1.dat"
    barrier = SyncBarrier(tmp_path)
    for content in (b"1", b"12", b"123"):
        file.write_bytes(content)
        synced.clear()
        barrier.sync()
        assert str(file) in synced


def test_a_caller_is_covered_by_a_sync_that_began_after_it_asked(tmp_path: Path, synced: list[str]) -> None:
    barrier = SyncBarrier(tmp_path)
    barrier._began = time.monotonic() + 60  # as if, while we waited for the lock, another caller began
    barrier.sync()
    assert synced == []
    barrier._began = time.monotonic() - 60  # it began before we asked: it may have missed our bytes
    barrier.sync()
    assert str(tmp_path) in synced


def test_a_socket_left_by_the_server_is_no_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    SyncBarrier(tmp_path).sync()
