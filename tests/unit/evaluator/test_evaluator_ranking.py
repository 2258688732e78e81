"""AUC-ROC and average precision of every class equal scikit-learn's to 1e-9."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as sk

from services.evaluator.domain.answers import NO_CLASS, read_answers
from services.evaluator.domain.metrics import measure, ranking
from services.evaluator.domain.metrics.ranking import rank_classes
from tests.support.score_matrices import Scored, scored, softmax_scores


def check(scores: NDArray[np.floating], truth: NDArray[np.int64], positions: NDArray[np.int64]) -> None:
    told = rank_classes(scores, truth, positions)
    rows = positions[truth[positions] != NO_CLASS]
    some, labels = np.asarray(scores[rows], np.float64), truth[rows]
    for index in range(scores.shape[1]):
        own = labels == index
        assert told.images[index] == own.sum()
        if not own.any():
            assert np.isnan(told.roc_auc[index])
            assert np.isnan(told.average_precision[index])
            continue
        precision = sk.average_precision_score(own, some[:, index])
        assert told.average_precision[index] == pytest.approx(precision, abs=1e-9)
        if own.all():
            assert np.isnan(told.roc_auc[index])
        else:
            auc = sk.roc_auc_score(own, some[:, index])
            assert told.roc_auc[index] == pytest.approx(auc, abs=1e-9)


@given(scored(lowest_truth=NO_CLASS), st.sampled_from([np.float16, np.float32, np.float64]))
def test_every_class_equals_scikit_learns_with_ties_and_without_some_classes(
    case: Scored, kind: type
) -> None:
    scores, truth = case
    check(scores.astype(kind), truth, np.arange(len(truth)))


@given(scored(lowest_truth=NO_CLASS), st.sets(st.integers(0, 24)), st.booleans(), st.integers(1, 400))
def test_any_rows_in_any_order_and_any_size_of_block_give_the_same(
    case: Scored, some: set[int], backwards: bool, block_bytes: int
) -> None:
    scores, truth = case
    chosen = np.array(sorted((row for row in some if row < len(truth)), reverse=backwards), np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "BLOCK_BYTES", block_bytes)
        patch.setattr(ranking, "GATHERED_ROWS", 3)
        check(scores, truth, chosen)


def test_averages_equal_scikit_learns_on_a_networks_scores() -> None:
    scores, truth = softmax_scores(2_000, 12, seed=1)
    scores = scores.astype(np.float64) / scores.astype(np.float64).sum(axis=1, keepdims=True)
    figures = measure(read_answers(scores, truth), rank_classes(scores, truth, np.arange(len(truth))))
    own = np.eye(12)[truth]
    for average in ("macro", "weighted"):
        auc = sk.roc_auc_score(truth, scores, multi_class="ovr", average=average)
        precision = sk.average_precision_score(own, scores, average=average)
        assert getattr(figures, f"roc_auc_{average}") == pytest.approx(auc, abs=1e-9)
        assert getattr(figures, f"average_precision_{average}") == pytest.approx(precision, abs=1e-9)
    assert figures.classes[3].roc_auc == pytest.approx(sk.roc_auc_score(truth == 3, scores[:, 3]), abs=1e-9)


def test_perfect_scores_reach_1_and_reversed_ones_0() -> None:
    truth = np.array([0, 0, 1, 1, 1])
    perfect, wrong = np.eye(2)[truth], np.eye(2)[1 - truth]
    rows = np.arange(5)
    assert rank_classes(perfect, truth, rows).roc_auc.tolist() == [1.0, 1.0]
    assert rank_classes(perfect, truth, rows).average_precision.tolist() == [1.0, 1.0]
    assert rank_classes(wrong, truth, rows).roc_auc.tolist() == [0.0, 0.0]


def test_a_set_of_one_class_has_no_auc_and_an_average_precision_of_1() -> None:
    figures = measure(
        read_answers(np.array([[0.7, 0.3], [0.2, 0.8]]), np.array([0, 0])),
        rank_classes(np.array([[0.7, 0.3], [0.2, 0.8]]), np.array([0, 0]), np.arange(2)),
    )
    assert (figures.roc_auc_macro, figures.roc_auc_weighted) == (None, None)
    assert (figures.average_precision_macro, figures.classes[0].roc_auc) == (1.0, None)


def test_a_memory_mapped_matrix_is_never_in_memory_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores, truth = softmax_scores(20_000, 100, seed=2)
    np.save(tmp_path / "scores.npy", scores)
    size = scores.nbytes
    del scores
    monkeypatch.setattr(ranking, "BLOCK_BYTES", 512 * 1024)
    mapped = np.load(tmp_path / "scores.npy", mmap_mode="r")
    tracemalloc.start()
    try:
        measure(read_answers(mapped, truth), rank_classes(mapped, truth, np.arange(len(truth))))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # NumPy tells tracemalloc of its arrays. The chunks do not grow with the images; answers do, 40 bytes each.
    assert peak < size / 3


def test_rows_out_of_order_or_named_twice_are_taken_once() -> None:
    """Rows that look like a run of neighbours by their first and last, and are none."""
    scores, truth = softmax_scores(40, 4, seed=5)
    expected = rank_classes(scores, truth, np.arange(4))
    for rows in ([0, 2, 1, 3], [0, 1, 1, 3, 2], [3, 0, 1, 2]):
        told = rank_classes(scores, truth, np.array(rows))
        np.testing.assert_array_equal(told.roc_auc, expected.roc_auc)
        np.testing.assert_array_equal(told.average_precision, expected.average_precision)
        np.testing.assert_array_equal(told.images, expected.images)
