"""Confidence intervals, all in closed form: the same answers always give the same limits, without a seed.

Shares get Wilson's interval (JASA 22, 1927), which holds its level at 4 images and at 4 of 4. A log loss
is a mean of many small numbers and a few large ones, so Student's interval is too low. Hall's cubic
transformation (JRSS B 54, 1992) corrects it by the measured skewness; measured coverage of both, and of
the bootstrap, is in docs/evaluation.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

import numpy as np

from services.evaluator.domain.answers import Floats

LEVEL = 0.95
LEAST_LOSSES = 30
"""With fewer images the rare expensive error has mostly not been seen yet, and any interval is too short."""


@dataclass(frozen=True)
class Interval:
    """Both limits belong to it."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """True when ``value`` lies inside."""
        return self.low <= value <= self.high


def wilson(right: int, of: int, level: float = LEVEL) -> Interval | None:
    """Of the share ``right / of``, 0..1; None of nothing."""
    if not of:
        return None
    z = _normal_quantile(level)
    share, square = right / of, z * z / of
    middle = (share + square / 2) / (1 + square)
    half = z / (1 + square) * (share * (1 - share) / of + square / (4 * of)) ** 0.5
    # Rounding must not cut off the share itself, which at 0 and 1 is a limit.
    return Interval(min(max(0.0, middle - half), share), max(min(1.0, middle + half), share))


def f1_interval(correct: int, shown_or_answered: int, level: float = LEVEL) -> Interval | None:
    """Of F1 = 2J / (1 + J), which rises with the share J of the images shown or answered that are both."""
    share = wilson(correct, shown_or_answered, level)
    return share and Interval(2 * share.low / (1 + share.low), 2 * share.high / (1 + share.high))


def loss_interval(losses: Floats, level: float = LEVEL) -> Interval | None:
    """Of the mean of skewed, non-negative losses, one per image; None under LEAST_LOSSES images."""
    images = len(losses)
    if images < LEAST_LOSSES:
        return None
    mean, deviation = float(losses.mean()), float(losses.std(ddof=1))
    if deviation <= abs(mean) * np.finfo(np.float64).eps * images:
        return Interval(mean, mean)
    skewness = float(((losses - mean) ** 3).mean()) / deviation**3
    error, t = deviation / images**0.5, _student_quantile(images - 1, level)
    limits = (
        mean - error * _straightened(t, skewness, images),
        mean - error * _straightened(-t, skewness, images),
    )
    return Interval(min(mean, max(0.0, limits[0])), max(mean, limits[1]))


def _straightened(quantile: float, skewness: float, images: int) -> float:
    """Hall's inverse transformation of the quantile of a mean with this skewness."""
    root = images**0.5
    if abs(skewness) < 1e-6:
        return quantile
    inner = 1 + skewness / root * (quantile - skewness / (6 * root))
    return float(3 * root / skewness * (np.cbrt(inner) - 1))


@cache
def _normal_quantile(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)


@cache
def _student_quantile(freedom: int, level: float) -> float:
    """Cornish and Fisher's expansion (Abramowitz and Stegun 26.7.5): to 1e-5 from 9 degrees on at 95 %."""
    z = _normal_quantile(level)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return float(sum(term / freedom**power for power, term in enumerate(terms)))
