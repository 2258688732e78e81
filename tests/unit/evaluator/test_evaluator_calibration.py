"""Calibration, confidence intervals, and the parts of a set."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from services.evaluator.domain.answers import NO_CLASS, read_answers
from services.evaluator.domain.metrics import measure
from services.evaluator.domain.metrics.calibration import expected_calibration_error, reliability
from services.evaluator.domain.metrics.groups import NO_FLAG, group_figures, parts_by_flag, parts_by_source
from services.evaluator.domain.metrics.intervals import LEAST_LOSSES, f1_interval, loss_interval, wilson
from tests.support.score_matrices import Scored, scored


@given(scored(), st.integers(1, 20))
def test_the_reliability_curve_equals_scikit_learns(case: Scored, bins: int) -> None:
    answers = read_answers(*case)
    curve = reliability(answers, bins)
    accuracy, confidence = calibration_curve(
        answers.correct, np.minimum(answers.confidence / 100.0, 1.0), n_bins=bins, pos_label=True
    )
    assert [point.accuracy for point in curve] == pytest.approx(accuracy, abs=1e-9)
    assert [point.confidence for point in curve] == pytest.approx(confidence, abs=1e-9)
    assert sum(point.images for point in curve) == len(answers)
    for point in curve:
        assert point.above - 1e-9 <= point.confidence <= point.upto + 1e-9


def test_the_calibration_error_by_hand() -> None:
    scores = np.array([[0.9, 0.1], [0.9, 0.1], [0.7, 0.3], [0.3, 0.7]])
    curve = reliability(read_answers(scores, np.array([0, 1, 0, 1])), 10)
    # 2 answers of 0.9, one right: 0.4 off; 2 of 0.7, both right: 0.3 off.
    assert [(point.images, point.correct) for point in curve] == [(2, 2), (2, 1)]
    assert expected_calibration_error(curve) == pytest.approx(0.35)


@pytest.mark.parametrize(
    ("right", "of", "low", "high"),
    [(4, 4, 0.5101, 1.0), (0, 4, 0.0, 0.4899), (3, 4, 0.3006, 0.9544), (81, 263, 0.2553, 0.3662)],
)
def test_wilsons_interval_equals_published_values(right: int, of: int, low: float, high: float) -> None:
    """81 of 263: Newcombe, Statistics in Medicine 17 (1998), table I; the others by its formula by hand."""
    interval = wilson(right, of)
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(0, 500), st.integers(1, 500), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_an_interval_holds_its_own_share_and_stays_a_share(right: int, of: int, level: float) -> None:
    right = min(right, of)
    for interval, value in (
        (wilson(right, of, level), right / of),
        (f1_interval(right, of, level), 2 * right / (of + right)),
    ):
        assert interval is not None
        assert 0.0 <= interval.low <= value <= interval.high <= 1.0
        assert interval.low < interval.high


def test_nothing_has_no_interval() -> None:
    assert wilson(0, 0) is None
    assert f1_interval(0, 0) is None
    assert loss_interval(np.ones(LEAST_LOSSES - 1)) is None


def test_the_interval_of_equal_losses_is_their_value() -> None:
    interval = loss_interval(np.full(100, 0.1))
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((0.1, 0.1))


def typical_losses(images: int, draws: int) -> np.ndarray:
    """Of a network that is right in 93 %: most losses are near 0, a few are large."""
    random = np.random.default_rng(6)
    right = random.random((draws, images)) < 0.93
    scores = np.where(right, random.beta(12, 0.5, right.shape), random.beta(0.6, 6, right.shape))
    return -np.log(np.clip(scores, 2.2e-16, 1.0))


@pytest.mark.parametrize(("images", "least"), [(100, 0.94), (300, 0.93), (1000, 0.93)])
def test_the_interval_of_a_skewed_mean_loss_holds_its_level(images: int, least: float) -> None:
    truth = typical_losses(1000, 4000).mean()
    intervals = [loss_interval(losses) for losses in typical_losses(images, 400)]
    covered = np.mean(
        [interval is not None and interval.low <= truth <= interval.high for interval in intervals]
    )
    assert least <= covered <= 0.995


@given(st.lists(st.floats(0, 36), min_size=LEAST_LOSSES, max_size=60))
def test_the_interval_of_a_mean_loss_holds_it_and_is_never_negative(values: list[float]) -> None:
    losses = np.array(values)
    interval = loss_interval(losses)
    assert interval is not None
    assert 0.0 <= interval.low <= losses.mean() <= interval.high
    assert interval == loss_interval(losses)


SCORES = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]])
TRUTH = np.array([0, 0, 0, NO_CLASS])


def test_each_source_has_the_figures_of_its_images_alone() -> None:
    answers = read_answers(SCORES, TRUTH)
    weighted = np.array([0.1, 0.8, 0.5, np.nan])
    real, staged, unknown = group_figures(
        answers, parts_by_source(["real", "staged", "real", None]), weighted
    )
    assert [part.name for part in (real, staged, unknown)] == ["real", "staged", "unknown"]
    alone = measure(answers.select([0, 2]))
    assert (real.images, real.known, real.correct, real.accuracy) == (2, 2, 2, 1.0)
    assert (real.log_loss, real.f1_macro) == (alone.log_loss, alone.f1_macro)
    assert real.weighted_log_loss == pytest.approx(0.3)
    assert real.mean_confidence == pytest.approx(75.0)
    assert (staged.accuracy, staged.balanced_accuracy) == (0.0, 0.0)
    assert (unknown.images, unknown.known, unknown.accuracy, unknown.weighted_log_loss) == (1, 0, None, None)
    assert unknown.accuracy_interval is None


def test_an_image_counts_for_each_of_its_flags_and_the_unflagged_stand_last() -> None:
    flags = [("blurry", "dark"), (), ["blurry", "blurry"], ()]
    parts = group_figures(read_answers(SCORES, TRUTH), parts_by_flag(flags))
    assert [(part.name, part.images) for part in parts] == [("blurry", 2), ("dark", 1), (NO_FLAG, 2)]
