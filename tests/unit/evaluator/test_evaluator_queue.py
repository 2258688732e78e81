"""Which labels are doubtful, in which order they are looked at, and with what they are compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.evaluator.domain.answers import NO_CLASS, read_answers
from services.evaluator.domain.queue import confident
from services.evaluator.domain.queue.confident import Confident, confident_learning, mix_ups
from services.evaluator.domain.queue.examples import CANDIDATES, NONE, Wanted, nearest_examples
from services.evaluator.domain.queue.ranking import Suspicion, rank
from services.evaluator.queue_file import build_queue


def joint(found: Confident) -> NDArray[np.int64]:
    """The confident joint as a matrix."""
    counts = np.zeros((len(found.thresholds),) * 2, np.int64)
    sure = (found.labels != NO_CLASS) & (found.confident != NO_CLASS)
    np.add.at(counts, (found.labels[sure], found.confident[sure]), 1)
    return counts


def random_scores() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    scores = np.round(np.random.default_rng(11).dirichlet(np.full(4, 0.6), 24), 3)
    return scores / scores.sum(axis=1, keepdims=True), np.arange(24) % 4


def test_thresholds_joint_and_ranks_are_those_of_cleanlab() -> None:
    """Its answers (2.9.0: get_confident_thresholds, compute_confident_joint, find_label_issues)."""
    scores, labels = random_scores()
    found = confident_learning(scores, labels)
    assert found.thresholds == pytest.approx([0.34754961705, 0.1907002002, 0.133183773017, 0.231574441408])
    told = [[3, 0, 0, 3], [2, 1, 2, 2], [2, 1, 1, 3], [2, 2, 0, 2]]
    assert np.maximum(joint(found), np.eye(4)).tolist() == told  # cleanlab counts each class once at least
    issues = rank(found).order[: int(found.off_diagonal.sum())]
    assert issues.tolist() == [0, 5, 7, 18, 11, 23, 2, 19, 14, 6, 9, 10, 8, 13, 21, 22, 17, 4, 1]


def test_the_confident_joint_is_the_papers_worked_by_hand() -> None:
    scores = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.4, 0.6], [0.1, 0.9], [0.8, 0.2]])
    labels = np.array([0, 0, 0, 1, 1, 1])
    found = confident_learning(scores, labels)
    assert found.thresholds == pytest.approx([0.6, (0.6 + 0.9 + 0.2) / 3])
    assert found.confident.tolist() == [0, 0, 1, 1, 1, 0]
    assert joint(found).tolist() == [[2, 1], [1, 2]]
    assert found.off_diagonal.tolist() == [False, False, True, False, False, True]
    assert [(one.label, one.likely, one.counted, one.estimated) for one in mix_ups(found)] == [
        (0, 1, 1, 1.0),
        (1, 0, 1, 1.0),
    ]
    assert found.margin == pytest.approx([0.9, 0.7, 0.2, 0.6, 0.9, 0.2])


def test_counts_are_extrapolated_to_the_images_that_no_class_is_sure_of() -> None:
    scores = np.array([[0.9, 0.1, 0.0]] * 2 + [[0.1, 0.9, 0.0], [0.3, 0.3, 0.4]] + [[0.0, 0.9, 0.1]] * 2)
    found = confident_learning(scores, np.array([0, 0, 0, 0, 1, 1]))
    assert found.confident.tolist() == [0, 0, 1, NO_CLASS, 1, 1]
    (one,) = mix_ups(found)
    assert (one.label, one.likely, one.counted) == (0, 1, 1)
    assert one.estimated == pytest.approx(4 / 3)


def test_a_memory_mapped_matrix_in_many_chunks_gives_what_one_in_memory_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws = np.random.default_rng(3)
    scores = draws.dirichlet(np.ones(5), 333).astype(np.float16)
    labels = draws.integers(-1, 5, 333)
    whole = confident_learning(scores, labels)
    np.save(tmp_path / "scores.npy", scores)
    monkeypatch.setattr(confident, "CHUNK_SCORES", 35)
    mapped = confident_learning(np.load(tmp_path / "scores.npy", mmap_mode="r"), labels)
    for name in ("thresholds", "confident", "other", "p_label", "p_other"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(mapped, name))


@given(st.integers(1, 6), st.integers(0, 40), st.integers(0, 2**32 - 1))
def test_every_labelled_image_is_queued_once_and_no_other(classes: int, images: int, seed: int) -> None:
    draws = np.random.default_rng(seed)
    scores = draws.dirichlet(np.full(classes, 0.5), images)
    labels = draws.integers(-1, classes, images)
    found = confident_learning(scores, labels)
    ranking = rank(found)
    assert sorted(ranking.order.tolist()) == np.flatnonzero(labels != NO_CLASS).tolist()
    keys = [(ranking.suspicion[i], found.margin[i]) for i in ranking.order]
    assert keys == sorted(keys)
    wrong = (scores.argmax(axis=1) != labels) & (labels != NO_CLASS)
    for position in np.flatnonzero(wrong):
        tied = found.p_other[position] == found.p_label[position]
        assert tied or ranking.suspicion[position] != Suspicion.LOW
    assert ((found.other != labels) | (labels == NO_CLASS)).all()


def test_mislabelled_come_first_then_wrong_answers_then_low_scores() -> None:
    scores = np.array([
        [0.90, 0.05, 0.05], [0.55, 0.25, 0.20], [0.98, 0.01, 0.01],  # labelled 0, right
        [0.40, 0.45, 0.15],  # labelled 0, wrong, but class 1 is usually surer
        [0.05, 0.95, 0.00],  # labelled 0, and certainly 1
        [0.05, 0.90, 0.05], [0.02, 0.97, 0.01], [0.0, 0.0, 1.0],
    ])  # fmt: skip
    labels = np.array([0, 0, 0, 0, 0, 1, 1, 2])
    ranking = rank(confident_learning(scores, labels))
    assert ranking.order.tolist()[:4] == [4, 3, 1, 0]
    assert [Suspicion(ranking.suspicion[i]).word for i in (4, 3, 1)] == [
        "mislabelled",
        "wrong",
        "low-scoring",
    ]


def examples(
    like: NDArray[np.floating], of: list[int], classes: list[int], labels: list[int], trusted: list[bool]
) -> list[int]:
    wanted = Wanted(np.array(of), np.array(classes))
    p_label = np.linspace(1, 0.5, len(labels))
    return nearest_examples(like, wanted, np.array(labels), np.array(trusted), p_label).tolist()


def test_an_example_is_the_most_alike_trusted_image_of_the_class_and_never_the_image_itself() -> None:
    like = np.array([[1, 0], [0.9, 0.1], [0, 1], [0.1, 0.9], [0.95, 0.05]])
    labels, trusted = [0, 0, 1, 1, 0], [True, True, True, True, False]
    assert examples(like, [0, 0, 4, 3], [0, 1, 0, 1], labels, trusted) == [1, 3, 0, 2]
    assert examples(like * 7.0, [0, 4], [1, 0], labels, trusted) == [3, 0]


def test_where_no_image_is_trusted_another_one_of_the_class_is_better_than_nothing() -> None:
    like = np.eye(3)
    assert examples(like, [0, 2, 2], [0, 1, 5], [0, 0, 1], [False, False, False]) == [1, NONE, NONE]
    assert examples(like, [0, 0], [0, NO_CLASS], [0, 1, 1], [True, True, True]) == [NONE, NONE]


def test_of_a_large_class_the_highest_scoring_images_are_looked_through() -> None:
    images = CANDIDATES + 50
    like = np.random.default_rng(0).random((images, 3))
    like[-1] = like[0]
    found = nearest_examples(
        like, Wanted(np.array([0]), np.array([0])), np.zeros(images, np.int64), np.ones(images, bool),
        np.linspace(1, 0.5, images),
    )  # fmt: skip
    assert 0 < found[0] < CANDIDATES


def test_the_queue_names_images_classes_and_examples() -> None:
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.95, 0.05], [0.1, 0.9], [0.2, 0.8], [0.5, 0.5]])
    labels = np.array([0, 0, 1, 1, 1, NO_CLASS])
    ids = [letter * 64 for letter in "abcdef"]
    table = build_queue(scores, ids, ["train"] * 5 + ["test"], labels, ("okapi", "zebra"))
    rows = table.to_pylist()
    assert [row["rank"] for row in rows] == [1, 2, 3, 4, 5]
    first = rows[0]
    assert first["margin"] == pytest.approx(0.05)
    assert first | {"p_label": 0, "p_other": 0, "margin": 0} == {
        "rank": 1, "image_id": ids[2], "set": "train", "suspicion": "mislabelled", "label": "zebra",
        "other": "okapi", "p_label": 0, "p_other": 0, "margin": 0, "label_example": ids[4],
        "other_example": ids[0],
    }  # fmt: skip
    assert build_queue(scores[:0], [], [], labels[:0], ("okapi", "zebra")).num_rows == 0
    alone = build_queue(np.ones((2, 1)), ids[:2], ["test"] * 2, np.zeros(2, np.int64), ("okapi",)).to_pylist()
    assert [(row["other"], row["label_example"]) for row in alone] == [(None, ids[1]), (None, ids[0])]


def test_vectors_choose_the_examples_when_there_are_some() -> None:
    scores = np.array([[0.4, 0.6], [0.9, 0.1], [0.9, 0.1], [0.1, 0.9]])
    vectors = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.1], [1.0, 0.0]])
    table = build_queue(scores, list("abcd"), ["test"] * 4, np.array([0, 0, 0, 1]), ("x", "y"), vectors)
    assert table.to_pylist()[0]["label_example"] == "c"


def test_a_model_that_scores_all_classes_alike_calls_no_label_wrong_for_certain() -> None:
    labels = np.array([0, 1, 2, NO_CLASS])
    found = confident_learning(np.full((4, 3), 1 / 3, np.float32), labels)
    assert not found.off_diagonal.any()
    assert mix_ups(found) == ()
    apart = confident_learning(np.array([[0.5, 0.5, 0.0], [0.4, 0.5, 0.1]]), np.array([0, 0]))
    assert not apart.off_diagonal.any()  # nobody is labelled 1, so it has no threshold to reach


def test_of_equal_scores_the_lower_class_is_the_answer_as_everywhere_else() -> None:
    scores = np.array([[0.4, 0.4, 0.2], [0.4, 0.4, 0.2], [0.1, 0.1, 0.8], [0.9, 0.05, 0.05], [0.0, 1.0, 0.0]])
    labels = np.array([0, 1, 2, 0, 1])
    suspicion = rank(confident_learning(scores, labels)).suspicion
    assert [Suspicion(value) for value in suspicion[:2]] == [Suspicion.LOW, Suspicion.WRONG]
    assert ((suspicion == Suspicion.LOW) == read_answers(scores, labels).correct).all()
