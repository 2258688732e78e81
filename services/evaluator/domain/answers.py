"""What the model answered, one entry per image, out of the full score matrix."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CHUNK_SCORES = 262_144
"""Scores looked at together: 1 MiB of float32 stays in the processor's cache for all passes over it, and
a memory-mapped matrix is never in memory as a whole."""
SUM_TOLERANCE = 1e-3
"""Softmax over 1,500 classes sums to 1 within 1e-4 in float32, 5e-4 in float16; logits miss by far more."""
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
    """Reduce scores (N x C, softmax, float16 to float64) and truth (N, class index or NO_CLASS) to answers.

    Raises:
        ScoresRefused: a shape does not fit, a score is NaN, infinite or outside 0..1, a row
            does not sum to 1, or a truth is no class index.
    """
    if scores.ndim != 2 or scores.shape[1] < 1 or len(truth) != scores.shape[0]:
        raise ScoresRefused(f"scores of shape {scores.shape} do not fit {len(truth)} images")
    if not np.issubdtype(scores.dtype, np.floating):
        raise ScoresRefused(f"scores are {scores.dtype}, not floating-point probabilities")
    images, classes = scores.shape
    if images and (truth.min() < NO_CLASS or truth.max() >= classes):
        raise ScoresRefused(f"truths are {truth.min()} to {truth.max()}; the model has {classes} classes")
    answers = Answers(
        truth.astype(np.int64), np.empty(images, np.int64), np.empty(images), np.empty(images),
        np.empty(images, np.int64),
    )  # fmt: skip
    rows = max(1, CHUNK_SCORES // classes)
    for first in range(0, images, rows):
        _read_chunk(computable(scores[first : first + rows]), answers, first)
    return answers


def computable(scores: NDArray[np.floating]) -> NDArray[np.floating]:
    """The same numbers in a type that processors calculate with: float16 becomes float32, exactly."""
    return np.asarray(scores, np.float32 if scores.dtype == np.float16 else scores.dtype)


def _read_chunk(scores: NDArray[np.floating], answers: Answers, first_row: int) -> None:
    """Fill in the answers of these rows, the first of which is ``first_row``."""
    _refuse_impossible(scores, first_row)
    place = slice(first_row, first_row + len(scores))
    rows, truth = np.arange(len(scores)), answers.truth[place]
    predicted = scores.argmax(axis=1)
    p_truth = scores[rows, truth]
    rank = np.count_nonzero(scores > p_truth[:, None], axis=1)
    equal = scores == p_truth[:, None]
    # Few rows have a second class with the very score of the truth.
    for row in np.flatnonzero(np.count_nonzero(equal, axis=1) > 1):
        rank[row] += np.count_nonzero(equal[row, : truth[row]])
    unknown = truth == NO_CLASS
    answers.predicted[place] = predicted
    answers.confidence[place] = np.clip(scores[rows, predicted].astype(np.float64) * 100.0, 0.0, 100.0)
    answers.p_truth[place] = np.where(unknown, np.nan, p_truth.astype(np.float64))
    answers.rank[place] = np.where(unknown, scores.shape[1], rank)


def _refuse_impossible(scores: NDArray[np.floating], first_row: int) -> None:
    with np.errstate(invalid="ignore", over="ignore"):
        lowest, highest, total = scores.min(axis=1), scores.max(axis=1), scores.sum(axis=1)
        # A NaN is the least and the greatest of its row, and fails every comparison.
        good = (lowest >= 0.0) & (highest <= 1.0 + SUM_TOLERANCE) & (np.abs(total - 1.0) <= SUM_TOLERANCE)
    if not good.all():
        row = int(good.argmin())
        raise ScoresRefused(
            f"{int((~good).sum())} of these {len(scores)} score rows are no probabilities; the first is row "
            f"{first_row + row}: {_what_is_wrong(scores[row])}. The model must end in softmax"
        )


def _what_is_wrong(row: NDArray[np.floating]) -> str:
    for name, wrong in (("not a number", np.isnan(row)), ("infinite", np.isinf(row)), ("negative", row < 0)):
        if wrong.any():
            column = int(wrong.argmax())
            return f"its score of class {column} is {name} ({row[column]}), as {int(wrong.sum())} in all are"
    return f"smallest {row.min()}, largest {row.max()}, sum {row.sum()} instead of 1"
