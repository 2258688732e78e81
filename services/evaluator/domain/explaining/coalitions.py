"""LIME and Kernel SHAP: a straight-line model of how a score changes when parts of a picture are hidden.

Both ask the network about pictures of which some parts are shown, and fit ``score = base + sum of effects of
what is shown``. They differ in which pictures count how much, and in what the fit has to keep to.
"""

from __future__ import annotations

from itertools import combinations
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Masks = NDArray[np.bool_]

KERNEL_WIDTH = 0.25
RIDGE = 1.0


class Coalitions(NamedTuple):
    """Pictures to ask about: which of M parts are shown [N, M], and how much each picture counts [N]."""

    shown: Masks
    weights: Floats


class Fit(NamedTuple):
    """What each part adds to the score [M], the score of nothing shown, and R² of the fit as weighted."""

    effects: Floats
    base: float
    fit: float


def lime_coalitions(parts: int, count: int, seed: int) -> Coalitions:
    """Each part is shown or hidden by a fair coin, the whole picture first; near ones count more.

    M. Ribeiro et al., "Why Should I Trust You?", KDD 2016, with the settings of its authors' library for
    pictures: cosine distance to the whole picture d = 1 - sqrt(shown / parts), weight sqrt(exp(-d² / 0.25²)).
    """
    shown = np.random.default_rng(seed).integers(0, 2, (count, parts)).astype(np.bool_)
    shown[0] = True
    distance = 1.0 - np.sqrt(shown.mean(axis=1))
    return Coalitions(shown, np.sqrt(np.exp(-(distance**2) / KERNEL_WIDTH**2)))


def fit_lime(asked: Coalitions, scores: Floats) -> Fit:
    """Ridge regression (penalty 1, none on the base) of the scores [N]."""
    weights = asked.weights / asked.weights.sum()
    shown = asked.shown.astype(np.float64)
    centred, risen = shown - weights @ shown, scores - weights @ scores
    weighted = centred * asked.weights[:, None]
    effects = np.linalg.solve(weighted.T @ centred + RIDGE * np.eye(shown.shape[1]), weighted.T @ risen)
    base = float(weights @ scores - weights @ shown @ effects)
    return Fit(effects, base, _r_squared(asked, scores, base + shown @ effects))


def shap_coalitions(parts: int, count: int, seed: int) -> Coalitions:
    """Sizes that can be had whole are, from the outside in; of the others a sample, each with its complement.

    S. Lundberg and S. Lee, A Unified Approach to Interpreting Model Predictions, NIPS 2017, theorem 2: a set
    of s of M parts counts (M - 1) / (comb(M, s) s (M - s)). Nothing and everything count without limit
    and are no rows here: ``fit_shap`` keeps to them. At most ``count`` rows; fewer where there are no more.
    """
    chosen, weights, left = [np.zeros((0, parts), np.bool_)], [np.zeros(0)], count
    mass = {size: (parts - 1) / (size * (parts - size)) for size in range(1, parts)}
    for size in range(1, parts // 2 + 1):
        of_size = sorted({size, parts - size})
        rows = comb(parts, size) * len(of_size)
        # As many as the sample would spend on them anyhow, or all that is left to ask.
        if rows > left * sum(mass[one] for one in of_size) / sum(mass.values()):
            break
        for one in of_size:
            chosen.append(_all_of(parts, one))
            weights.append(np.full(comb(parts, one), mass.pop(one) / comb(parts, one)))
        left -= rows
    if mass and left >= 2:
        drawn = _sampled(parts, left // 2, mass, np.random.default_rng(seed))
        chosen.append(drawn)
        weights.append(np.full(len(drawn), sum(mass.values()) / len(drawn)))
    return Coalitions(np.concatenate(chosen), np.concatenate(weights))


def fit_shap(asked: Coalitions, scores: Floats, hidden: float, whole: float) -> Fit:
    """Effects that add up to ``whole - hidden`` exactly, and otherwise fit the scores [N] best."""
    parts = asked.shown.shape[1]
    if parts == 1:
        return Fit(np.array([whole - hidden]), hidden, 1.0)
    shown, total = asked.shown.astype(np.float64), whole - hidden
    # The last part's effect is what the others leave: that is the constraint.
    others, last = shown[:, :-1] - shown[:, -1:], shown[:, -1]
    weighted = others * asked.weights[:, None]
    free = np.linalg.lstsq(weighted.T @ others, weighted.T @ (scores - hidden - last * total), rcond=None)[0]
    effects = np.append(free, total - free.sum())
    return Fit(effects, hidden, _r_squared(asked, scores, hidden + shown @ effects))


def _all_of(parts: int, size: int) -> Masks:
    sets = np.array(list(combinations(range(parts), size)), np.int64)
    shown = np.zeros((len(sets), parts), np.bool_)
    np.put_along_axis(shown, sets, True, axis=1)
    return shown


def _sampled(parts: int, pairs: int, mass: dict[int, float], draws: np.random.Generator) -> Masks:
    """So many sets and their complements, their sizes as often as they count."""
    sizes = draws.choice(list(mass), pairs, p=np.array(list(mass.values())) / sum(mass.values()))
    ranks = draws.random((pairs, parts)).argsort(axis=1).argsort(axis=1)
    shown = ranks < sizes[:, None]
    return np.concatenate([shown, ~shown])


def _r_squared(asked: Coalitions, scores: Floats, fitted: Floats) -> float:
    """1 for scores that do not vary."""
    weights = asked.weights
    if not len(scores):
        return 1.0
    spread = float(weights @ (scores - weights @ scores / weights.sum()) ** 2)
    return 1.0 - float(weights @ (scores - fitted) ** 2) / spread if spread > 0 else 1.0
