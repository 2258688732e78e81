"""The best classes of each image, out of a batch of scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DIGITS = 3
"""Decimals of a confidence that are told; the threshold is applied to what is told."""
SUM_TOLERANCE = 1e-3
"""Softmax over 1,500 classes in float32 sums to 1 within 1e-4; logits miss by far more."""


class ScoresRefused(Exception):
    """The scores cannot be what a classifier with softmax says."""


def best(scores: NDArray[np.floating], count: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Indices and confidences (0..100), both N x min(count, C), best first, the lower index on a tie.

    Raises:
        ScoresRefused: a row of ``scores`` (N x C) is no probability distribution.
    """
    exact = np.asarray(scores, np.float64)
    with np.errstate(invalid="ignore"):
        fine = (exact >= 0.0).all(axis=1) & (np.abs(exact.sum(axis=1) - 1.0) <= SUM_TOLERANCE)
    if not fine.all():
        row = int((~fine).argmax())
        raise ScoresRefused(
            f"row {row} of {len(exact)} scores is no probability distribution: smallest {exact[row].min()}, "
            f"sum {exact[row].sum()}. The model must end in softmax"
        )
    order = np.argsort(-exact, axis=1, kind="stable")[:, :count]
    confidence = np.clip(np.take_along_axis(exact, order, axis=1) * 100.0, 0.0, 100.0)
    return order, confidence.round(DIGITS)
