"""The log loss that costs less between commonly confused classes."""

from __future__ import annotations

import math
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as sk

from services.evaluator.domain.answers import NO_CLASS, read_answers
from services.evaluator.domain.metrics import measure
from services.evaluator.domain.metrics.losses import (
    EPSILON,
    PairsRefused,
    PairWeights,
    image_losses,
    weighted_losses,
)
from tests.support.score_matrices import Scored, scored

Weights = dict[tuple[int, int], float]

pairs_of_four = st.dictionaries(
    st.sampled_from(list(combinations(range(4), 2))), st.sampled_from([0.0, 0.25, 0.5, 0.9, 1.0])
)
AFRICAN, ASIAN, ZEBRA = range(3)
ELEPHANTS: Weights = {(AFRICAN, ASIAN): 0.5}


def losses(scores: NDArray[np.float64], truth: NDArray[np.int64], weights: Weights) -> NDArray[np.float64]:
    return weighted_losses(scores, read_answers(scores, truth), PairWeights(weights, scores.shape[1]))


def by_levels(row: NDArray[np.float64], truth: int, weights: Weights) -> float:
    """The definition: the mean over levels u in 0..1, which change only at the weights of the table."""
    cost = [
        0.0 if j == truth else weights.get((truth, j), weights.get((j, truth), 1.0)) for j in range(len(row))
    ]
    levels = sorted({0.0, 1.0, *cost})
    return sum(
        (upper - lower) * -math.log(min(max(sum(row[j] for j in range(len(row)) if cost[j] <= lower), EPSILON), 1 - EPSILON))
        for lower, upper in pairwise(levels)
    )  # fmt: skip


def test_the_worked_example_of_the_documentation() -> None:
    scores = np.array(
        [
            [0.20, 0.70, 0.10],  # an African elephant, taken for an Asian one
            [0.20, 0.10, 0.70],  # an African elephant, taken for a zebra
            [0.10, 0.10, 0.80],  # a zebra, named rightly
        ]
    )
    told = losses(scores, np.array([AFRICAN, AFRICAN, ZEBRA]), ELEPHANTS)
    # 0.5 * -ln 0.2 + 0.5 * -ln 0.9; 0.5 * -ln 0.2 + 0.5 * -ln 0.3; -ln 0.8: no pair has the zebra
    assert told == pytest.approx([0.857399, 1.406705, 0.223144], abs=1e-6)
    assert told.mean() == pytest.approx(0.829083, abs=1e-6)
    log_loss = image_losses(read_answers(scores, np.array([AFRICAN, AFRICAN, ZEBRA])))
    assert log_loss == pytest.approx([1.609438, 1.609438, 0.223144], abs=1e-6)


def test_the_whole_score_on_the_other_elephant_costs_half() -> None:
    scores = np.array([[0.001, 0.999, 0.0], [0.001, 0.0, 0.999]])
    mixed_up, zebra = losses(scores, np.array([AFRICAN, AFRICAN]), ELEPHANTS)
    full = -math.log(0.001)
    assert mixed_up == pytest.approx(full / 2)
    assert zebra == pytest.approx(full)


@given(scored(), pairs_of_four)
def test_every_loss_is_the_mean_over_the_levels_of_the_definition(case: Scored, weights: Weights) -> None:
    scores, truth = case
    expected = [by_levels(row, int(of), weights) for row, of in zip(scores, truth, strict=True)]
    assert losses(scores, truth, weights) == pytest.approx(expected, abs=1e-9)


@given(scored(), st.booleans())
def test_weights_of_1_and_no_table_give_scikit_learns_log_loss(case: Scored, listed: bool) -> None:
    scores, truth = case
    weights = dict.fromkeys(combinations(range(scores.shape[1]), 2), 1.0) if listed else {}
    expected = sk.log_loss(truth, scores, labels=np.arange(scores.shape[1]))
    assert losses(scores, truth, weights).mean() == pytest.approx(expected, abs=1e-9)


@given(scored())
def test_a_weight_of_0_gives_the_log_loss_of_the_merged_classes(case: Scored) -> None:
    scores, truth = case
    merged = np.column_stack([scores[:, 0] + scores[:, 1], scores[:, 2:]])
    expected = sk.log_loss(np.maximum(truth - 1, 0), merged, labels=np.arange(merged.shape[1]))
    assert losses(scores, truth, {(0, 1): 0.0}).mean() == pytest.approx(expected, abs=1e-9)


@given(scored(lowest_truth=NO_CLASS), pairs_of_four, st.floats(0, 1))
def test_a_lower_weight_never_costs_more_and_nothing_costs_more_than_the_log_loss(
    case: Scored, weights: Weights, by: float
) -> None:
    scores, truth = case
    known = truth != NO_CLASS
    full, some, less = (
        losses(scores, truth, chosen)[known]
        for chosen in ({}, weights, {pair: weight * by for pair, weight in weights.items()})
    )
    assert (some <= full + 1e-12).all()
    assert (less <= some + 1e-12).all()
    assert (less >= 0).all()


@given(scored(), pairs_of_four)
def test_a_pair_counts_in_both_directions_and_may_be_listed_in_both(case: Scored, weights: Weights) -> None:
    scores, truth = case
    turned = {(other, one): weight for (one, other), weight in weights.items()}
    np.testing.assert_array_equal(losses(scores, truth, weights), losses(scores, truth, turned))
    np.testing.assert_array_equal(losses(scores, truth, weights), losses(scores, truth, weights | turned))


@pytest.mark.parametrize("belief", [0.02, 0.3, 0.5, 0.97])
def test_a_model_gains_nothing_by_scores_that_it_does_not_believe(belief: float) -> None:
    """Of an elephant that is African with probability ``belief``, the expected loss is least at that score."""
    steps = np.linspace(0.01, 0.99, 99)
    scores = np.column_stack([steps, 1 - steps, np.zeros(99)])
    african = losses(scores, np.zeros(99, np.int64), ELEPHANTS)
    asian = losses(scores, np.ones(99, np.int64), ELEPHANTS)
    best = steps[np.argmin(belief * african + (1 - belief) * asian)]
    assert best == pytest.approx(belief, abs=0.005)


def test_images_of_no_class_have_no_loss_and_change_no_mean() -> None:
    scores = np.array([[0.2, 0.7, 0.1], [0.2, 0.7, 0.1]])
    answers = read_answers(scores, np.array([AFRICAN, NO_CLASS]))
    told = weighted_losses(scores, answers, PairWeights(ELEPHANTS, 3))
    assert np.isnan(told[1])
    assert measure(answers, weighted=told).weighted_log_loss == pytest.approx(0.857399, abs=1e-6)


def test_half_precision_scores_that_are_memory_mapped_are_added_in_double_precision(tmp_path: Path) -> None:
    scores = np.array([[0.2, 0.7, 0.1]], np.float16)
    np.save(tmp_path / "scores.npy", scores)
    mapped = np.load(tmp_path / "scores.npy", mmap_mode="r")
    (told,) = weighted_losses(mapped, read_answers(mapped, np.array([0])), PairWeights(ELEPHANTS, 3))
    assert told == pytest.approx(by_levels(scores[0].astype(np.float64), 0, ELEPHANTS), abs=1e-12)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ({(0, 3): 0.5}, "classes 0 and 3 is not of this model: it has 0 to 2"),
        ({(-1, 2): 0.5}, "not of this model"),
        ({(1, 1): 0.5}, "class 1 is paired with itself"),
        ({(0, 1): 1.5}, "is 1.5; it must lie between 0 .* and 1"),
        ({(0, 1): -0.1}, "is -0.1; it must lie between"),
        ({(0, 1): float("nan")}, "is nan; it must lie between"),
        ({(0, 1): 0.5, (1, 0): 0.6}, "classes 1 and 0 have the weights 0.5 and 0.6: keep one of them"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(weights: Weights, words: str) -> None:
    with pytest.raises(PairsRefused, match=words):
        PairWeights(weights, 3)
