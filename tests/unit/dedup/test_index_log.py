from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.dedup.index import HashIndex, HashLog, Held, LogInUse
from services.dedup.index.log import FILE_NAME
from tests.support.hash_library import as_list, clustered_hashes

BITS = 64


class Rows(NamedTuple):
    """What one append notes."""

    changes: NDArray[np.int64]
    positions: NDArray[np.int64]
    hashes: NDArray[np.uint8]
    removed: NDArray[np.bool_]


@st.composite
def histories(draw: st.DrawFn) -> list[Rows]:
    """Appends of a few rows each: new positions, repeated ones, and removals."""
    appends, change = [], 0
    for size in draw(st.lists(st.integers(1, 6), min_size=1, max_size=6)):
        steps = draw(st.lists(st.integers(1, 3), min_size=size, max_size=size))
        changes = change + np.cumsum(steps)
        change = int(changes[-1])
        appends.append(
            Rows(
                changes,
                np.array(draw(st.lists(st.integers(0, 12), min_size=size, max_size=size)), np.int64),
                np.frombuffer(draw(st.binary(min_size=8 * size, max_size=8 * size)), np.uint8).reshape(
                    size, 8
                ),
                np.array(draw(st.lists(st.booleans(), min_size=size, max_size=size))),
            )
        )
    return appends


def said(appends: list[Rows]) -> tuple[dict[int, bytes], int]:
    """Hash by position after these appends, and the last change number."""
    held: dict[int, bytes] = {}
    for rows in appends:
        for position, row, removed in zip(rows.positions.tolist(), rows.hashes, rows.removed, strict=True):
            held.pop(position, None)
            if not removed:
                held[position] = row.tobytes()
    return held, int(appends[-1].changes[-1]) if appends else 0


def as_said(held: Held) -> tuple[dict[int, bytes], int]:
    assert np.all(np.diff(held.positions) > 0)
    hashes = [row.tobytes() for row in held.hashes]
    return dict(zip(held.positions.tolist(), hashes, strict=True)), held.last_change


def reopened(folder: Path, detector: str = "phash/1", bits: int = BITS) -> tuple[dict[int, bytes], int]:
    log, held = HashLog.open(folder, detector, bits)
    with log:
        assert log.last_change == held.last_change
        return as_said(held)


def written(folder: Path, appends: list[Rows]) -> list[int]:
    """Write them; size of the file before the first and after each."""
    log, _ = HashLog.open(folder, "phash/1", BITS)
    with log:
        sizes = [log._size]
        for rows in appends:
            log.append(*rows)
            sizes.append(log._size)
    return sizes


@given(histories())
def test_a_log_holds_what_was_appended_last_of_each_position(appends: list[Rows]) -> None:
    with tempfile.TemporaryDirectory() as name:
        written(Path(name), appends)
        assert reopened(Path(name)) == said(appends)
        assert reopened(Path(name)) == said(appends)


@hypothesis_settings(max_examples=50)
@given(histories(), st.data())
def test_a_log_cut_at_any_byte_keeps_its_whole_appends_and_goes_on(
    appends: list[Rows], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sizes = written(folder, appends)
        cut = data.draw(st.integers(0, sizes[-1]))
        os.truncate(folder / FILE_NAME, cut)
        whole = appends[: sum(size <= cut for size in sizes[1:])]
        log, held = HashLog.open(folder, "phash/1", BITS)
        with log:
            assert as_said(held) == said(whole)
            for rows in appends[len(whole) :]:
                log.append(*rows)
        assert reopened(folder) == said(appends)


@hypothesis_settings(max_examples=100)
@given(histories(), st.data())
def test_a_flipped_bit_anywhere_ends_the_log_before_it(appends: list[Rows], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sizes = written(folder, appends)
        raw = bytearray((folder / FILE_NAME).read_bytes())
        place = data.draw(st.integers(0, len(raw) - 1))
        raw[place] ^= 1 << data.draw(st.integers(0, 7))
        (folder / FILE_NAME).write_bytes(raw)
        whole = appends[: sum(size <= place for size in sizes[1:])]
        assert reopened(folder) == said(whole)


@pytest.mark.parametrize("tail", [bytes(5), bytes(4096), b"\xff" * 100])
def test_what_a_power_cut_leaves_behind_the_last_append_is_cut_off(tmp_path: Path, tail: bytes) -> None:
    rows = Rows(np.array([4]), np.array([9]), np.full((1, 8), 7, np.uint8), np.array([False]))
    sizes = written(tmp_path, [rows])
    with (tmp_path / FILE_NAME).open("ab") as file:
        file.write(tail)
    assert reopened(tmp_path) == said([rows])
    assert (tmp_path / FILE_NAME).stat().st_size == sizes[-1]


@pytest.mark.parametrize(("detector", "bits"), [("phash/2", 64), ("phash/1", 256), ("phash/1\n", 64)])
def test_a_log_of_another_kind_is_begun_anew(tmp_path: Path, detector: str, bits: int) -> None:
    rows = Rows(np.array([4]), np.array([9]), np.full((1, 8), 7, np.uint8), np.array([False]))
    written(tmp_path, [rows])
    assert reopened(tmp_path, detector, bits) == ({}, 0)
    assert reopened(tmp_path) == ({}, 0)


def test_a_file_that_is_no_log_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"not ours" * 100)
    assert reopened(tmp_path) == ({}, 0)
    assert written(tmp_path, [])[0] < 100


def test_a_cleared_log_takes_change_numbers_from_the_start(tmp_path: Path) -> None:
    rows = Rows(np.array([4]), np.array([9]), np.full((1, 8), 7, np.uint8), np.array([False]))
    log, _ = HashLog.open(tmp_path / "work" / "index", "phash/1", BITS)
    with log:
        log.append(*rows)
        with pytest.raises(ValueError, match="do not go up from 4"):
            log.append(*rows)
        log.clear()
        assert log.last_change == 0
        log.append(*rows)
    assert reopened(tmp_path / "work" / "index") == said([rows])


def test_change_numbers_have_to_go_up_within_an_append(tmp_path: Path) -> None:
    log, _ = HashLog.open(tmp_path, "phash/1", BITS)
    with log, pytest.raises(ValueError, match="sort the rows by change"):
        log.append(np.array([3, 3]), np.array([1, 2]), np.zeros((2, 8), np.uint8), np.zeros(2, np.bool_))
    assert reopened(tmp_path) == ({}, 0)


def test_one_process_writes_a_log_at_a_time(tmp_path: Path) -> None:
    log, _ = HashLog.open(tmp_path, "phash/1", BITS)
    with log, pytest.raises(LogInUse, match="give each its own work folder"):
        HashLog.open(tmp_path, "phash/1", BITS)
    reopened(tmp_path)


def test_an_append_that_the_disk_refuses_changes_nothing_and_can_be_tried_again(tmp_path: Path) -> None:
    small = Rows(np.array([1]), np.array([1]), np.full((1, 8), 7, np.uint8), np.array([False]))
    large = Rows(
        np.arange(2, 1002),
        np.arange(1000),
        clustered_hashes(0, 1000, BITS, apart_bits=9),
        np.zeros(1000, np.bool_),
    )
    log, _ = HashLog.open(tmp_path, "phash/1", BITS)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with log:
        log.append(*small)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
        try:
            with pytest.raises(OSError, match="too large"):
                log.append(*large)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert log.last_change == 1
        log.append(*large)
    assert reopened(tmp_path) == said([small, large])


CHILD = """
import sys
from pathlib import Path
import numpy as np
from services.dedup.index import HashLog
log, _ = HashLog.open(Path(sys.argv[1]), "phash/1", 64)
for change in range(1, 1_000_000):
    row = np.full((1, 8), change % 251, np.uint8)
    log.append(np.array([change]), np.array([change]), row, np.array([False]))
    print(change, flush=True)
"""


def test_kill_9_loses_no_append_that_was_answered(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CHILD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        answered = [int(child.stdout.readline()) for _ in range(200)][-1]
        child.send_signal(signal.SIGKILL)
        answered = max([answered, *(int(line) for line in child.stdout if line.endswith("\n"))])
    held, last = reopened(tmp_path)
    assert last >= answered
    assert held == {change: bytes([change % 251] * 8) for change in range(1, last + 1)}


def test_an_index_filled_from_the_log_answers_as_before(tmp_path: Path) -> None:
    rows = clustered_hashes(7, 12_000, BITS, apart_bits=10, centres=800)
    before, log = HashIndex(BITS, 8), HashLog.open(tmp_path, "phash/1", BITS)[0]
    with log:
        for start in range(0, len(rows), 1000):
            positions, part = np.arange(start, start + 1000), rows[start : start + 1000]
            before.extend(positions, part)
            log.append(positions + 1, positions, part, np.zeros(1000, np.bool_))
        gone = np.arange(0, 12_000, 7)
        before.remove(gone)
        log.append(20_000 + gone, gone, rows[gone], np.ones(len(gone), np.bool_))
        before.extend(gone[:9], rows[gone[:9]])
        log.append(40_000 + gone[:9], gone[:9], rows[gone[:9]], np.zeros(9, np.bool_))
    log, held = HashLog.open(tmp_path, "phash/1", BITS)
    with log:
        after = HashIndex(BITS, 8)
        after.extend(held.positions, held.hashes)
    assert len(after) == len(before)
    assert as_list(after.near(rows[:200], 8)) == as_list(before.near(rows[:200], 8))
    assert all_pairs(after) == all_pairs(before)


def all_pairs(index: HashIndex) -> list[tuple[int, int, int]]:
    return sorted(hit for chunk in index.pairs(4) for hit in as_list(chunk))
