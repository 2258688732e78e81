"""Reading the score matrix: what it says of each image, and which matrices are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.evaluator.domain import answers as answers_module
from services.evaluator.domain.answers import NO_CLASS, Answers, ScoresRefused, read_answers
from tests.support.score_matrices import Scored, scored, softmax_scores


def same(one: Answers, other: Answers) -> None:
    for field in Answers.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(one, field), getattr(other, field))


@given(scored(lowest_truth=NO_CLASS))
def test_rank_is_the_place_of_the_truth_in_a_stable_sort(case: Scored) -> None:
    scores, truth = case
    order = np.argsort(-scores, axis=1, kind="stable")
    read = read_answers(scores, truth)
    for row, of_row in enumerate(truth):
        expected = scores.shape[1] if of_row == NO_CLASS else list(order[row]).index(of_row)
        assert read.rank[row] == expected
        assert np.isnan(read.p_truth[row]) == (of_row == NO_CLASS)
    assert (read.predicted == order[:, 0]).all()


@given(scored(lowest_truth=NO_CLASS), st.integers(1, 30))
def test_reading_in_chunks_changes_nothing(case: Scored, chunk: int) -> None:
    scores, truth = case
    whole = read_answers(scores, truth)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(answers_module, "CHUNK_SCORES", chunk)
        same(whole, read_answers(scores, truth))


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_a_memory_mapped_matrix_reads_as_its_numbers_in_double_precision(kind: type, tmp_path: Path) -> None:
    scores, truth = softmax_scores(300, 20, seed=3)
    np.save(tmp_path / "scores.npy", scores.astype(kind))
    mapped = np.load(tmp_path / "scores.npy", mmap_mode="r")
    same(read_answers(mapped, truth), read_answers(np.asarray(mapped, np.float64), truth))


@given(scored(), st.sampled_from([np.nan, np.inf, -np.inf, -0.2, 1.5]), st.data())
def test_impossible_scores_are_refused_with_their_row(
    case: Scored, value: float, data: st.DataObject
) -> None:
    scores, truth = case
    row = data.draw(st.integers(0, len(truth) - 1))
    scores[row, data.draw(st.integers(0, scores.shape[1] - 1))] = value
    with pytest.raises(ScoresRefused, match=f"the first is row {row}:"):
        read_answers(scores, truth)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ([0.2, 0.3, np.nan, 0.5], r"its score of class 2 is not a number \(nan\)"),
        ([0.2, 0.3, np.inf, 0.5], r"its score of class 2 is infinite \(inf\)"),
        ([0.2, 0.3, -np.inf, 0.5], r"its score of class 2 is infinite \(-inf\)"),
        ([0.5, 0.2, -0.2, 0.5], r"its score of class 2 is negative \(-0.\d+\)"),
        ([0.25, 0.25, 1.0, 0.0], "smallest 0.0, largest 1.0, sum 1.5 instead of 1"),
    ],
)
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_the_refusal_says_what_is_wrong_in_which_row(row: list[float], words: str, kind: type) -> None:
    scores = np.full((40, 4), 0.25, kind)
    scores[37] = row
    with pytest.raises(ScoresRefused, match=f"the first is row 37: {words}.*must end in softmax"):
        read_answers(scores, np.zeros(40, np.int64))


def test_a_row_in_a_later_chunk_keeps_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers_module, "CHUNK_SCORES", 8)
    scores = np.full((9, 4), 0.25)
    scores[7] = 0.0
    with pytest.raises(ScoresRefused, match=r"the first is row 7: .* sum 0.0 instead of 1"):
        read_answers(scores, np.zeros(9, np.int64))


def test_logits_are_refused_because_they_do_not_sum_to_one() -> None:
    with pytest.raises(ScoresRefused, match="must end in softmax"):
        read_answers(np.array([[0.9, 0.9, 0.9]]), np.array([1]))


def test_whole_numbers_are_refused_as_scores() -> None:
    with pytest.raises(ScoresRefused, match="scores are int64, not floating-point"):
        read_answers(np.array([[0, 1]]), np.array([1]))


@pytest.mark.parametrize("truth", [[3], [-2], [0, 1]])
def test_a_truth_that_does_not_fit_is_refused(truth: list[int]) -> None:
    with pytest.raises(ScoresRefused):
        read_answers(np.array([[0.2, 0.3, 0.5]]), np.array(truth))


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_softmax_over_1500_classes_is_accepted_in_half_and_single_precision(kind: type) -> None:
    logits = np.random.default_rng(5).normal(0, 6, (50, 1500)).astype(np.float32)
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    flat = np.full((1, 1500), 1 / 1500, np.float32)
    assert len(read_answers(np.concatenate([scores, flat]).astype(kind), np.zeros(51, np.int64))) == 51
