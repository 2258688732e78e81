"""LIME and SHAP of a picture: which of its segments move a score, by asking with some of them hidden."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.evaluator.domain.explaining.coalitions import (
    Fit,
    Masks,
    fit_lime,
    fit_shap,
    lime_coalitions,
    shap_coalitions,
)
from services.evaluator.domain.explaining.findings import Method, Region, regions_of
from services.evaluator.domain.explaining.segments import Floats, Ints, Pixels, blurred, segments_of

CELLS = 6
"""Segments a side: 36 or a few less. At 49, SHAP's error with so many pictures is as large as the effects."""
HIDDEN_SHARE = 0.2
"""A hidden part is blurred by means over a fifth of the side: little of the class is left to see (digits: its
mean score falls to chance), and no edge appears that was not there, as where a part is painted over."""
COALITIONS = 768
AT_ONCE = 128
"""Pictures that are in memory together."""
SEED = 0

Scores = Callable[[Pixels], Floats]
"""Pictures [N, S, S, 3] to scores [N, C]."""


class Seen(NamedTuple):
    """What each place adds [S, S], and what is known besides (Explanation)."""

    effects: Floats
    passes: int
    hidden: float | None = None
    fit: float | None = None
    regions: tuple[Region, ...] = ()


def by_parts(scores: Scores, pixels: Pixels, class_index: int, method: Method) -> Seen:
    """LIME or SHAP over segments; those that hiding does not change have no effect and are left out."""
    segments, hidden = segments_of(pixels, CELLS), blurred(pixels, HIDDEN_SHARE)
    differs = (pixels != hidden).any(axis=-1)
    players = np.unique(segments[differs])
    effects = np.zeros(int(segments.max()) + 1)
    asked = _Asked(scores, pixels, hidden, _players(segments, players), class_index)
    nothing, everything = asked(np.stack([np.zeros(len(players), np.bool_), np.ones(len(players), np.bool_)]))
    passes, fit = 2, None
    if len(players):
        found, more = _fitted(asked, len(players), float(nothing), float(everything), method)
        effects[players] = found.effects
        passes, fit = passes + more, found.fit if method == Method.LIME else None
    return Seen(effects[segments], passes, float(nothing), fit, regions_of(segments, effects))


def _fitted(asked: _Asked, parts: int, nothing: float, everything: float, method: Method) -> tuple[Fit, int]:
    if method == Method.LIME:
        chosen = lime_coalitions(parts, COALITIONS, SEED)
        return fit_lime(chosen, asked(chosen.shown)), len(chosen.shown)
    chosen = shap_coalitions(parts, COALITIONS, SEED)
    return fit_shap(chosen, asked(chosen.shown), nothing, everything), len(chosen.shown)


class _Asked:
    """Scores of the class for pictures of which some parts are hidden."""

    def __init__(
        self, scores: Scores, pixels: Pixels, hidden: Pixels, players: Ints, class_index: int
    ) -> None:
        self._scores, self._pixels, self._hidden = scores, pixels, hidden
        self._players, self._class_index = players, class_index

    def __call__(self, shown: Masks) -> Floats:
        """Of masks [N, M], [N]; a few pictures are in memory at a time."""
        # A pixel of no part (-1) is the same shown and hidden: the last column, always shown, is its.
        masks = np.concatenate([shown, np.ones((len(shown), 1), np.bool_)], axis=1)
        found = []
        for first in range(0, len(masks), AT_ONCE):
            visible: NDArray[np.bool_] = masks[first : first + AT_ONCE][:, self._players]
            pictures = np.where(visible[..., None], self._pixels, self._hidden)
            found.append(self._scores(pictures)[:, self._class_index])
        return np.concatenate(found) if found else np.zeros(0)


def _players(segments: Ints, players: Ints) -> Ints:
    """Which of the players each pixel belongs to, -1 for none."""
    number = np.full(int(segments.max()) + 1, -1, np.int64)
    number[players] = np.arange(len(players))
    return number[segments]
