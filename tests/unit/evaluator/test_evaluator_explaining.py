"""LIME and SHAP over segments: exact where that can be computed, and on a square that is known to matter."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from sklearn.metrics import pairwise_distances

from services.evaluator.domain.explaining.coalitions import (
    fit_lime,
    fit_shap,
    lime_coalitions,
    shap_coalitions,
)
from services.evaluator.domain.explaining.findings import (
    Explanation,
    Method,
    focus_of,
    place_of,
    sentences_of,
)
from services.evaluator.domain.explaining.painting import painted
from services.evaluator.domain.explaining.parts import by_parts
from services.evaluator.domain.explaining.segments import blurred, segments_of
from tests.support.spot_model import SIZE_PX, SPOT, near, spotted

Floats = NDArray[np.float64]
Game = Callable[[NDArray[np.generic]], Floats]
TOP, LEFT = 5, 17


def game(parts: int, seed: int) -> Game:
    """A score in 0..1 of which parts are shown, [N, M] to [N]; some need each other."""
    draws = np.random.default_rng(seed)
    alone, together = draws.normal(size=parts), draws.normal(size=(parts, parts)) * 0.3

    def score(shown: NDArray[np.generic]) -> Floats:
        rows = np.asarray(shown, np.float64)
        return 1 / (1 + np.exp(-(rows @ alone + ((rows @ together) * rows).sum(axis=1)) / 2))

    return score


def ends(score: Game, parts: int) -> tuple[float, float]:
    """Scores of nothing and of everything."""
    nothing, everything = score(np.array([[0.0] * parts, [1.0] * parts]))
    return float(nothing), float(everything)


def shapley_values(score: Game, parts: int) -> Floats:
    """By the definition: mean of what a part adds, over all orders."""
    sets = list(itertools.product((0, 1), repeat=parts))
    of = dict(zip(sets, score(np.array(sets)), strict=True))
    values = np.zeros(parts)
    for shown, number in itertools.product(sets, range(parts)):
        if not shown[number]:
            size = sum(shown)
            share = math.factorial(size) * math.factorial(parts - size - 1) / math.factorial(parts)
            more = tuple(1 if place == number else one for place, one in enumerate(shown))
            values[number] += share * (of[more] - of[shown])
    return values


@settings(deadline=None, max_examples=20)
@given(parts=st.integers(1, 8), seed=st.integers(0, 10**6))
def test_shap_is_exact_when_every_set_can_be_asked(parts: int, seed: int) -> None:
    score = game(parts, seed)
    asked = shap_coalitions(parts, 2**parts, seed)
    assert len(np.unique(asked.shown, axis=0)) == len(asked.shown) == 2**parts - 2
    found = fit_shap(asked, score(asked.shown), *ends(score, parts))
    np.testing.assert_allclose(found.effects, shapley_values(score, parts), atol=1e-9)


@pytest.mark.parametrize("parts", [12, 49])
def test_shap_by_a_sample_adds_up_exactly_and_comes_near(parts: int) -> None:
    score, count = game(parts, parts), 512
    nothing, everything = ends(score, parts)
    asked = shap_coalitions(parts, count, 0)
    assert len(asked.shown) <= count
    assert asked.weights.sum() == pytest.approx(sum((parts - 1) / (s * (parts - s)) for s in range(1, parts)))
    found = fit_shap(asked, score(asked.shown), nothing, everything)
    assert nothing + found.effects.sum() == pytest.approx(everything, abs=1e-12)
    more = shap_coalitions(parts, 5_000, 1)
    true = fit_shap(more, score(more.shown), nothing, everything).effects
    assert np.corrcoef(found.effects, true)[0, 1] > 0.75


@pytest.mark.parametrize("parts", [1, 5, 49])
def test_lime_is_the_ridge_regression_of_its_authors_library(parts: int) -> None:
    score = game(parts, parts)
    asked = lime_coalitions(parts, 300, 0)
    assert asked.shown[0].all()
    scores = score(asked.shown)
    some = asked.shown.any(axis=1)  # cosine has no distance to nothing; ours is 1
    shown = asked.shown.astype(float)
    distances = pairwise_distances(shown[some], shown[:1], metric="cosine")[:, 0]
    np.testing.assert_allclose(asked.weights[some], np.sqrt(np.exp(-(distances**2) / 0.25**2)), atol=1e-12)
    peer = Ridge(alpha=1.0).fit(shown, scores, sample_weight=asked.weights)
    found = fit_lime(asked, scores)
    np.testing.assert_allclose(found.effects, peer.coef_, atol=1e-9)
    assert found.base == pytest.approx(peer.intercept_)
    assert found.fit == pytest.approx(peer.score(shown, scores, sample_weight=asked.weights))


def bright(pictures: NDArray[np.uint8]) -> Floats:
    """Scores [N, 2] of a network that counts bright pixels: plain and spot."""
    share = (pictures.astype(np.float64).mean(axis=-1) > 150).mean(axis=(1, 2))
    spot = 1 / (1 + np.exp(-200 * (share - 0.02)))
    return np.stack([1 - spot, spot], axis=-1)


@pytest.mark.parametrize(("method", "most"), [(Method.LIME, 0.8), (Method.SHAP, 0.9)])
def test_what_the_score_rests_on_lights_up_and_speaks_against_the_other_class(
    method: Method, most: float
) -> None:
    pixels = spotted(TOP, LEFT)
    for index, sign in ((SPOT, 1.0), (1 - SPOT, -1.0)):
        seen = by_parts(bright, pixels, index, method)
        effects = sign * seen.effects
        assert effects[near(TOP, LEFT, 2)].sum() > most * np.abs(effects).sum()
        assert sign * seen.regions[0].effect > 0.2
        assert seen.passes <= 770
        drawn = painted(pixels, seen.effects)
        factor = len(drawn) // SIZE_PX
        middle = drawn[::factor, ::factor][TOP + 2 : TOP + 4, LEFT + 2 : LEFT + 4].astype(int)
        assert ((middle[..., 0] - middle[..., 2]) * sign > 0).all()  # warm for, blue against
    assert place_of(-seen.effects) == "upper right"
    focus = focus_of(-seen.effects)
    assert focus is not None
    assert focus < 0.06


def test_the_same_question_has_the_same_answer() -> None:
    one, other = (by_parts(bright, spotted(TOP, LEFT), SPOT, Method.SHAP) for _ in range(2))
    np.testing.assert_array_equal(one.effects, other.effects)


def test_parts_that_hiding_does_not_change_are_not_asked_about() -> None:
    seen = by_parts(bright, np.full((SIZE_PX, SIZE_PX, 3), 40, np.uint8), SPOT, Method.SHAP)
    assert (seen.passes, seen.effects.any(), seen.regions) == (2, False, ())
    assert (focus_of(seen.effects), place_of(seen.effects)) == (None, None)


def test_segments_follow_an_edge() -> None:
    pixels = np.zeros((56, 56, 3), np.uint8)
    ticks = np.arange(56)
    left = ticks[None, :] < 20 + ticks[:, None] // 4  # a slanted edge, across the grid
    pixels[left] = (200, 40, 40)
    segments = segments_of(pixels, 7)
    assert 30 < segments.max() + 1 <= 49
    assert sorted(np.unique(segments)) == list(range(segments.max() + 1))
    for number in range(segments.max() + 1):
        assert left[segments == number].mean() in (0.0, 1.0)


@pytest.mark.parametrize("side", [1, 2, 9])
def test_a_tiny_picture_has_segments_too(side: int) -> None:
    pixels = np.random.default_rng(side).integers(0, 256, (side, side, 3)).astype(np.uint8)
    assert segments_of(pixels, 7).shape == blurred(pixels, 0.2).shape[:2] == (side, side)


def test_blurring_keeps_the_mean_and_takes_the_detail() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 60, 3)).astype(np.uint8)
    soft = blurred(pixels, 0.2)
    assert soft.mean() == pytest.approx(pixels.mean(), abs=3)
    assert soft.std() < 0.1 * pixels.std()


def told(method: Method, **change: object) -> str:
    values = {
        "image_id": "0" * 64, "model_version": "001", "method": method, "class_name": "zebra", "answer": "okapi",
        "p_class": 0.31, "p_answer": 0.6, "p_hidden": 0.01, "focus": 0.12, "place": "upper left", "fit": 0.9,
        "passes": 514, "seconds": 1.0,
    }  # fmt: skip
    return " ".join(sentences_of(Explanation.model_validate(values | change)))


def test_the_words_say_what_is_shown_and_how_far_to_believe_it() -> None:
    heat = told(Method.GRAD_CAM)
    assert heat.startswith(
        "Model 001 gives zebra 31.0 %; its answer is okapi, with 60.0 %. Yellow to red is where"
    )
    assert "half of it lies in 12.0 % of the picture, around its upper left." in heat
    assert "does not prove that the answer is right" in heat
    assert "add up to the +30.0 points" in told(Method.SHAP)
    assert "blurred the score is 1.0 %" in told(Method.SHAP)
    assert "ask shap instead" not in told(Method.LIME)
    assert "its fit is 20.0 %): ask shap instead" in told(Method.LIME, fit=0.2)
    assert "little more than noise" in told(Method.SHAP, p_hidden=0.3)
    assert "Nothing in the picture speaks for zebra" in told(Method.GRAD_CAM, focus=None, place=None)
