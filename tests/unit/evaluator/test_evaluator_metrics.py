"""Every figure that is counted equals scikit-learn's to 1e-9."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from services.evaluator.domain.answers import NO_CLASS, read_answers
from services.evaluator.domain.metrics import (
    SetFigures,
    measure,
    most_confused,
    worst_labels,
    worst_predicted,
)
from services.evaluator.domain.metrics.ranking import rank_classes
from tests.support.score_matrices import Scored, scored


def close(value: float) -> object:
    return pytest.approx(value, abs=1e-9)


@given(scored())
def test_all_figures_equal_scikit_learns(case: Scored) -> None:
    scores, truth = case
    labels = np.arange(scores.shape[1])
    predicted = scores.argmax(axis=1)
    figures = measure(read_answers(scores, truth))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of classes that are answered and never shown
        balanced = sk.balanced_accuracy_score(truth, predicted)
        matthews = sk.matthews_corrcoef(truth, predicted)
    assert figures.accuracy == close(sk.accuracy_score(truth, predicted))
    assert figures.balanced_accuracy == close(balanced)
    assert figures.f1_macro == close(sk.f1_score(truth, predicted, average="macro"))
    assert figures.f1_weighted == close(sk.f1_score(truth, predicted, average="weighted"))
    assert figures.matthews == close(matthews)
    assert figures.log_loss == close(sk.log_loss(truth, scores, labels=labels))
    matrix = np.zeros((len(labels), len(labels)), np.int64)
    for cell in figures.confusion:
        matrix[cell.truth, cell.predicted] = cell.images
    assert (matrix == sk.confusion_matrix(truth, predicted, labels=labels)).all()


@given(scored(), st.sampled_from([0, 1, 2, 3]))
def test_top_k_equals_scikit_learns_with_the_lower_class_first_among_equals(case: Scored, line: int) -> None:
    scores, truth = case
    measured = measure(read_answers(scores, truth)).top[line]
    if measured.k >= scores.shape[1]:
        assert measured.accuracy == 1.0
        return
    # scikit-learn prefers the higher index among equals, argmax the lower: turn the columns round.
    last = scores.shape[1] - 1
    expected = sk.top_k_accuracy_score(
        last - truth, scores[:, ::-1], k=measured.k, labels=np.arange(last + 1)
    )
    assert measured.accuracy == close(expected)


@given(scored())
def test_per_class_lines_equal_scikit_learns_report(case: Scored) -> None:
    scores, truth = case
    predicted = scores.argmax(axis=1)
    precision, recall, f1, images = sk.precision_recall_fscore_support(
        truth, predicted, labels=np.arange(scores.shape[1]), zero_division=np.nan
    )
    for line in measure(read_answers(scores, truth)).classes:
        assert line.images == images[line.index]
        assert line.f1 == close(f1[line.index])
        assert line.recall == (None if np.isnan(recall[line.index]) else close(recall[line.index]))
        assert line.precision == (None if np.isnan(precision[line.index]) else close(precision[line.index]))


@given(scored())
def test_the_last_lines_of_the_classification_report_equal_scikit_learns(case: Scored) -> None:
    scores, truth = case
    report = sk.classification_report(truth, scores.argmax(axis=1), output_dict=True, zero_division=0)
    figures = measure(read_answers(scores, truth))
    for name, average in (("macro avg", figures.macro), ("weighted avg", figures.weighted)):
        assert average is not None
        assert average.precision == close(report[name]["precision"])
        assert average.recall == close(report[name]["recall"])
        assert average.f1 == close(report[name]["f1-score"])


@given(scored(lowest_truth=NO_CLASS))
def test_images_of_no_class_change_no_figure_that_needs_a_right_answer(case: Scored) -> None:
    scores, truth = case
    known = truth != NO_CLASS

    def figures(rows: np.ndarray) -> SetFigures:
        some, labels = scores[rows], truth[rows]
        return measure(read_answers(some, labels), rank_classes(some, labels, np.arange(len(labels))))

    assert figures(np.full(len(truth), True)) == figures(known)


@given(scored(lowest_truth=NO_CLASS), st.randoms(use_true_random=False))
def test_the_order_of_the_images_does_not_matter(case: Scored, random: object) -> None:
    scores, truth = case
    order = list(range(len(truth)))
    random.shuffle(order)  # type: ignore[attr-defined]
    one, other = measure(read_answers(scores, truth)), measure(read_answers(scores[order], truth[order]))
    assert one.confusion == other.confusion
    assert one.matthews == other.matthews
    assert one.log_loss == pytest.approx(other.log_loss, abs=1e-12)


def test_matthews_does_not_overflow_at_a_million_images() -> None:
    truth = np.tile([0, 1], 500_000)
    answers = read_answers(np.eye(2)[truth], truth)
    assert measure(answers).matthews == close(1.0)


def test_a_certain_wrong_answer_costs_a_finite_loss() -> None:
    figures = measure(read_answers(np.array([[1.0, 0.0]]), np.array([1])))
    assert figures.log_loss == pytest.approx(36.04, abs=0.01)


def test_an_empty_set_and_a_set_of_no_class_have_no_figures() -> None:
    empty = measure(read_answers(np.empty((0, 3), np.float32), np.empty(0, np.int64)))
    unknown = measure(read_answers(np.array([[0.2, 0.3, 0.5]]), np.array([NO_CLASS])))
    for figures in (empty, unknown):
        assert figures == SetFigures()
        assert figures.accuracy is None
        assert figures.accuracy_interval is None
        assert figures.top_3_accuracy is None
        assert figures.f1_macro is None


def test_confused_pairs_and_worst_labels_come_with_most_errors_first() -> None:
    truth = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2])
    predicted = np.array([1, 1, 0, 1, 0, 2, 2, 0, 2])
    figures = measure(read_answers(np.eye(3)[predicted], truth))
    pairs = [(cell.truth, cell.predicted, cell.images) for cell in most_confused(figures.confusion, 2)]
    assert pairs == [(0, 1, 2), (1, 0, 1)]
    assert [(line.index, line.errors) for line in worst_labels(figures.classes, 5)] == [
        (0, 2),
        (1, 1),
        (2, 1),
    ]
    assert [(line.index, line.wrongly_predicted) for line in worst_predicted(figures.classes, 5)] == [
        (0, 2),  # 2 of its 3 answers are wrong, of class 1's 2 of 3 as well: the lower index first
        (1, 2),
    ]
