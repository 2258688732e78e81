"""A score matrix that is cut off anywhere, and gone on with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from services.evaluator.scoring.matrix import JOURNAL_FILE, MATRIX_FILE, ScoreMatrix

ROWS, COLUMNS, BATCH = 23, 7, 5
ORDER = [int(place) for place in np.random.default_rng(3).permutation(ROWS)]
SCORES = np.random.default_rng(4).random((ROWS, COLUMNS), np.float32)
"""In the order in which they are scored."""
OF = {"model": "m", "dataset": "d"}


def opened(folder: Path, precision: str = "float32", **of: str) -> ScoreMatrix:
    return ScoreMatrix(folder, OF | of, ORDER, COLUMNS, precision)


def score(matrix: ScoreMatrix, until: int = ROWS, *, keep: bool = True) -> None:
    """Rows up to ``until``, batch by batch."""
    for first in range(matrix.done, until, BATCH):
        matrix.add(SCORES[first : min(first + BATCH, until)])
    if keep:
        matrix.keep()


def digest(folder: Path) -> str:
    return hashlib.sha256((folder / MATRIX_FILE).read_bytes()).hexdigest()


@pytest.fixture
def whole(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Digest of a matrix that was never cut off."""
    folder = tmp_path_factory.mktemp("whole")
    score(opened(folder))
    return digest(folder)


def test_row_i_of_the_matrix_is_image_i_whatever_the_order_of_scoring(tmp_path: Path) -> None:
    matrix = opened(tmp_path)
    score(matrix)
    loaded = np.load(matrix.path, mmap_mode="r")
    assert (loaded.shape, loaded.dtype) == ((ROWS, COLUMNS), np.float32)
    np.testing.assert_array_equal(loaded[ORDER], SCORES)


@pytest.mark.parametrize("kept", range(0, ROWS, BATCH))
def test_a_matrix_that_was_cut_off_has_the_same_bytes_in_the_end(
    tmp_path: Path, whole: str, kept: int
) -> None:
    first = opened(tmp_path)
    score(first, kept)
    first.add(SCORES[kept : kept + 3])  # reached the file, and no word of it the journal
    second = opened(tmp_path)
    assert second.done == kept
    score(second)
    assert digest(tmp_path) == whole
    assert opened(tmp_path).done == ROWS


def torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-9] ^= 1
    path.write_bytes(data)


def test_a_last_line_without_its_end_is_left_out(tmp_path: Path, whole: str) -> None:
    matrix = opened(tmp_path)
    score(matrix, 10)
    score(matrix, 15)
    torn(tmp_path / JOURNAL_FILE)
    again = opened(tmp_path)
    assert again.done == 10
    score(again)
    assert digest(tmp_path) == whole


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: flipped(folder / JOURNAL_FILE),
        lambda folder: (folder / JOURNAL_FILE).write_bytes(b"\x00" * 40 + b"\n"),
        lambda folder: (folder / JOURNAL_FILE).write_text('"no object"\n5\n'),
        lambda folder: (folder / JOURNAL_FILE).unlink(),
        lambda folder: (folder / MATRIX_FILE).unlink(),
        lambda folder: torn(folder / MATRIX_FILE),
        lambda folder: (folder / MATRIX_FILE).write_bytes(b"no matrix"),
        lambda folder: np.save(folder / MATRIX_FILE, np.zeros((ROWS, COLUMNS), np.float32)),
        lambda folder: np.save(folder / MATRIX_FILE, np.zeros((ROWS, COLUMNS))),
    ],
)
def test_whatever_is_damaged_is_begun_anew(
    tmp_path: Path, whole: str, damage: Callable[[Path], object]
) -> None:
    score(opened(tmp_path), 15)
    damage(tmp_path)
    again = opened(tmp_path)
    assert again.done == 0
    score(again)
    assert digest(tmp_path) == whole


@pytest.mark.parametrize("other", [{"model": "n"}, {"dataset": "e"}])
def test_a_journal_of_other_work_is_no_start(tmp_path: Path, other: dict[str, str]) -> None:
    score(opened(tmp_path), 15)
    assert opened(tmp_path, **other).done == 0


def test_half_precision_halves_the_file_and_is_no_start_for_single(tmp_path: Path) -> None:
    matrix = opened(tmp_path, "float16")
    score(matrix)
    loaded = np.load(matrix.path)
    assert loaded.dtype == np.float16
    np.testing.assert_array_equal(loaded[ORDER], SCORES.astype(np.float16))
    assert opened(tmp_path).done == 0


def test_the_rows_are_on_disk_before_the_journal_speaks_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix = opened(tmp_path)
    said: list[str] = []

    def noted(what: str, call: Callable[..., None]) -> Callable[..., None]:
        def done(*values: int) -> None:
            said.append(what)
            call(*values)

        return done

    monkeypatch.setattr(matrix._scores, "flush", noted("rows", matrix._scores.flush))
    monkeypatch.setattr(matrix._journal, "add", noted("journal", matrix._journal.add))
    score(matrix, 10)
    matrix.keep()  # nothing new
    assert said == ["rows", "journal"]
