"""What the model answered, one entry per image, out of the full score matrix."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CHUNK_ROWS = 4096
"""Rows looked at together, so that a memory-mapped matrix is never in memory as a whole."""
SUM_TOLERANCE = 1e-3
"""Softmax over 1,500 classes in float32 sums to 1 within 1e-4; logits miss by far more."""
NO_CLASS = -1
"""Ground truth of an image that shows none of the model's classes: every answer is wrong."""


class ScoresRefused(Exception):
    """The score matrix cannot be what a classifier with softmax says."""


@dataclass(frozen=True)
class Answers:
    """``N`` answers. ``rank`` is the place of the truth, 0 the best; with equal scores the lower
    class index comes first, as in argmax. Without a truth ``rank`` is C and ``p_truth`` NaN.
    """

    truth: Ints
    predicted: Ints
    confidence: Floats
    """Softmax x 100, 0..100."""
    p_truth: Floats
    rank: Ints

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """True where the answer is the ground truth."""
        return np.equal(self.predicted, self.truth)

    def select(self, positions: Iterable[int] | NDArray[np.bool_] | Ints) -> Answers:
        """The answers at these positions (or under this mask)."""
        index = positions if isinstance(positions, np.ndarray) else np.fromiter(positions, np.int64)
        return Answers(
            truth=self.truth[index],
            predicted=self.predicted[index],
            confidence=self.confidence[index],
            p_truth=self.p_truth[index],
            rank=self.rank[index],
        )

    def known(self) -> Answers:
        """Only the answers on images that show one of the model's classes."""
        return self.select(self.truth != NO_CLASS)


def read_answers(scores: NDArray[np.floating], truth: Ints) -> Answers:
    """Reduce scores (N x C, softmax) and truth (N, class index or NO_CLASS) to answers in one pass.

    Raises:
        ScoresRefused: a shape does not fit, a score is NaN, infinite or outside 0..1, a row
            does not sum to 1, or a truth is no class index.
    """
    if scores.ndim != 2 or scores.shape[1] < 1 or len(truth) != scores.shape[0]:
        raise ScoresRefused(f"scores of shape {scores.shape} do not fit {len(truth)} images")
    images, classes = scores.shape
    if images and (truth.min() < NO_CLASS or truth.max() >= classes):
        raise ScoresRefused(f"truths are {truth.min()} to {truth.max()}; the model has {classes} classes")
    parts = []
    for first in range(0, images, CHUNK_ROWS):
        rows = slice(first, first + CHUNK_ROWS)
        parts.append(_read_chunk(np.asarray(scores[rows], np.float64), truth[rows], first))
    if not parts:
        none, nothing = np.empty(0, np.int64), np.empty(0)
        return Answers(none, none, nothing, nothing, none)
    return Answers(
        truth.astype(np.int64),
        np.concatenate([part.predicted for part in parts]),
        np.concatenate([part.confidence for part in parts]),
        np.concatenate([part.p_truth for part in parts]),
        np.concatenate([part.rank for part in parts]),
    )


def _read_chunk(scores: Floats, truth: Ints, first_row: int) -> Answers:
    _refuse_impossible(scores, first_row)
    rows = np.arange(len(scores))
    predicted = scores.argmax(axis=1)
    p_truth = scores[rows, truth]
    before = np.arange(scores.shape[1]) < truth[:, None]
    rank = (scores > p_truth[:, None]).sum(axis=1) + ((scores == p_truth[:, None]) & before).sum(axis=1)
    unknown = truth == NO_CLASS
    p_truth[unknown] = np.nan
    rank[unknown] = scores.shape[1]
    confidence = np.clip(scores[rows, predicted] * 100.0, 0.0, 100.0)
    return Answers(truth, predicted, confidence, p_truth, rank)


def _refuse_impossible(scores: Floats, first_row: int) -> None:
    with np.errstate(invalid="ignore"):
        outside = ~((scores >= 0.0) & (scores <= 1.0 + SUM_TOLERANCE)).all(axis=1)  # NaN is never >= 0
        wrong_sum = np.abs(scores.sum(axis=1) - 1.0) > SUM_TOLERANCE
    bad = outside | wrong_sum
    if bad.any():
        row = int(bad.argmax())
        raise ScoresRefused(
            f"{int(bad.sum())} score rows are no probabilities; the first is row {first_row + row}: "
            f"smallest {scores[row].min()}, largest {scores[row].max()}, sum {scores[row].sum()}. "
            "The model must end in softmax"
        )
