"""Every figure equals scikit-learn's to 1e-9."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as sk

from services.evaluator.domain import answers as answers_module
from services.evaluator.domain.answers import NO_CLASS, Answers, ScoresRefused, read_answers
from services.evaluator.domain.metrics import measure, most_confused, worst_labels

Scored = tuple[NDArray[np.float64], NDArray[np.int64]]


@st.composite
def scored(draw: st.DrawFn, lowest_truth: int = 0, min_images: int = 1) -> Scored:
    """Scores out of small whole weights, so that ties are common, and truths that leave classes out."""
    classes = draw(st.integers(4, 7))
    images = draw(st.integers(min_images, 25))
    rows = draw(
        st.lists(
            st.lists(st.integers(0, 3), min_size=classes, max_size=classes), min_size=images, max_size=images
        )
    )
    weights = np.array(rows, np.float64).reshape(images, classes)
    weights[weights.sum(axis=1) == 0] = 1.0
    top = draw(st.integers(0, classes - 1))
    truth = np.array(
        draw(st.lists(st.integers(lowest_truth, top), min_size=images, max_size=images)), np.int64
    )
    return weights / weights.sum(axis=1, keepdims=True), truth


@given(scored())
def test_all_figures_equal_scikit_learns(case: Scored) -> None:
    scores, truth = case
    labels = np.arange(scores.shape[1])
    predicted = scores.argmax(axis=1)
    figures = measure(read_answers(scores, truth))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of classes that are answered and never shown
        balanced = sk.balanced_accuracy_score(truth, predicted)
    assert figures.accuracy == pytest.approx(sk.accuracy_score(truth, predicted), abs=1e-9)
    assert figures.balanced_accuracy == pytest.approx(balanced, abs=1e-9)
    assert figures.f1_macro == pytest.approx(sk.f1_score(truth, predicted, average="macro"), abs=1e-9)
    assert figures.log_loss == pytest.approx(sk.log_loss(truth, scores, labels=labels), abs=1e-9)
    matrix = np.zeros((len(labels), len(labels)), np.int64)
    for cell in figures.confusion:
        matrix[cell.truth, cell.predicted] = cell.images
    assert (matrix == sk.confusion_matrix(truth, predicted, labels=labels)).all()


@given(scored())
def test_top_3_equals_scikit_learns_with_the_lower_class_first_among_equals(case: Scored) -> None:
    scores, truth = case
    # scikit-learn prefers the higher index among equals, argmax the lower: turn the columns round.
    last = scores.shape[1] - 1
    expected = sk.top_k_accuracy_score(last - truth, scores[:, ::-1], k=3, labels=np.arange(last + 1))
    assert measure(read_answers(scores, truth)).top_3_accuracy == pytest.approx(expected, abs=1e-9)


@given(scored())
def test_per_class_lines_equal_scikit_learns_report(case: Scored) -> None:
    scores, truth = case
    predicted = scores.argmax(axis=1)
    precision, recall, f1, images = sk.precision_recall_fscore_support(
        truth, predicted, labels=np.arange(scores.shape[1]), zero_division=np.nan
    )
    for line in measure(read_answers(scores, truth)).classes:
        assert line.images == images[line.index]
        assert line.f1 == pytest.approx(f1[line.index], abs=1e-9)
        assert line.recall == (
            None if np.isnan(recall[line.index]) else pytest.approx(recall[line.index], abs=1e-9)
        )
        assert line.precision == (
            None if np.isnan(precision[line.index]) else pytest.approx(precision[line.index], abs=1e-9)
        )


@given(scored(lowest_truth=NO_CLASS))
def test_images_of_no_class_change_no_figure_that_needs_a_right_answer(case: Scored) -> None:
    scores, truth = case
    known = truth != NO_CLASS
    whole, part = measure(read_answers(scores, truth)), measure(read_answers(scores[known], truth[known]))
    assert whole == part


@given(scored(lowest_truth=NO_CLASS), st.randoms(use_true_random=False))
def test_the_order_of_the_images_does_not_matter(case: Scored, random: object) -> None:
    scores, truth = case
    order = list(range(len(truth)))
    random.shuffle(order)  # type: ignore[attr-defined]
    one, other = measure(read_answers(scores, truth)), measure(read_answers(scores[order], truth[order]))
    assert one.confusion == other.confusion
    assert one.log_loss == pytest.approx(other.log_loss, abs=1e-12)


@given(scored(lowest_truth=NO_CLASS), st.integers(1, 7))
def test_reading_in_chunks_changes_nothing(case: Scored, chunk: int) -> None:
    scores, truth = case
    whole = read_answers(scores, truth)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(answers_module, "CHUNK_ROWS", chunk)
        parts = read_answers(scores, truth)
    for field in Answers.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(whole, field), getattr(parts, field))


@given(scored(), st.sampled_from([np.nan, np.inf, -np.inf, -0.2, 1.5]), st.data())
def test_impossible_scores_are_refused_with_their_row(
    case: Scored, value: float, data: st.DataObject
) -> None:
    scores, truth = case
    row = data.draw(st.integers(0, len(truth) - 1))
    scores[row, data.draw(st.integers(0, scores.shape[1] - 1))] = value
    with pytest.raises(ScoresRefused, match=f"the first is row {row}:"):
        read_answers(scores, truth)


def test_logits_are_refused_because_they_do_not_sum_to_one() -> None:
    with pytest.raises(ScoresRefused, match="must end in softmax"):
        read_answers(np.array([[0.9, 0.9, 0.9]]), np.array([1]))


@pytest.mark.parametrize("truth", [[3], [-2], [0, 1]])
def test_a_truth_that_does_not_fit_is_refused(truth: list[int]) -> None:
    with pytest.raises(ScoresRefused):
        read_answers(np.array([[0.2, 0.3, 0.5]]), np.array(truth))


def test_float32_softmax_over_1500_classes_is_accepted() -> None:
    logits = np.random.default_rng(5).normal(0, 6, (50, 1500)).astype(np.float32)
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert len(read_answers(scores, np.zeros(50, np.int64))) == 50


def test_a_certain_wrong_answer_costs_a_finite_loss() -> None:
    figures = measure(read_answers(np.array([[1.0, 0.0]]), np.array([1])))
    assert figures.log_loss == pytest.approx(36.04, abs=0.01)


def test_an_empty_set_and_a_set_of_no_class_have_no_figures() -> None:
    empty = measure(read_answers(np.empty((0, 3), np.float32), np.empty(0, np.int64)))
    unknown = measure(read_answers(np.array([[0.2, 0.3, 0.5]]), np.array([NO_CLASS])))
    for figures in (empty, unknown):
        assert figures.known == 0
        assert figures.accuracy is None
        assert figures.log_loss is None
        assert figures.confusion == ()


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
