"""AUC-ROC and average precision of every class against the others, exact, ties as in scikit-learn.

Both need only, for each image of the class, how many scores of the whole set are lower and how many
equal. One sort of each column (values, no indices: NumPy sorts 16 of them per instruction) and a binary
search per image of the class give that. Columns are taken in blocks through a transposed copy, so that
of a memory-mapped matrix one block is in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.evaluator.domain.answers import NO_CLASS, Floats, Ints, computable

BLOCK_BYTES = 16 * 2**20
"""Size of the transposed block: 41 columns of 100,000 float32 scores."""
GATHERED_ROWS = 2048
"""Rows transposed together: they and their place in the block stay in the processor's cache."""


@dataclass(frozen=True)
class Ranking:
    """Per class index, NaN where a class has no image, or nothing but images, in the set."""

    roc_auc: Floats
    average_precision: Floats
    images: Ints

    def averages(self, values: Floats) -> tuple[float | None, float | None]:
        """Mean over the classes that have the figure, each counting the same, and by its images."""
        have = ~np.isnan(values)
        if not have.any():
            return None, None
        return float(values[have].mean()), float(np.average(values[have], weights=self.images[have]))


def rank_classes(scores: NDArray[np.floating], truth: Ints, positions: Ints) -> Ranking:
    """Of the rows ``positions`` of scores (N x C); rows that show none of the classes are left out."""
    rows = np.unique(positions)
    rows = rows[truth[rows] != NO_CLASS]
    classes = scores.shape[1]
    images = np.bincount(truth[rows], minlength=classes)
    roc_auc, average_precision = np.full(classes, np.nan), np.full(classes, np.nan)
    by_class = np.argsort(truth[rows], kind="stable")
    ends = np.cumsum(images)
    for shown, block in _blocks(np.asarray(scores), rows, images):
        own = [
            np.sort(column[by_class[ends[index] - images[index] : ends[index]]])
            for index, column in zip(shown, block, strict=True)
        ]
        block.sort(axis=1)
        for index, column, of_class in zip(shown, block, own, strict=True):
            roc_auc[index], average_precision[index] = _of_column(column, of_class)
    return Ranking(roc_auc, average_precision, images)


def _of_column(column: NDArray[np.floating], own: NDArray[np.floating]) -> tuple[float, float]:
    """From all scores of a class and those of its own images, both ascending."""
    lower, not_higher = np.searchsorted(column, own, "left"), np.searchsorted(column, own, "right")
    own_lower, own_not_higher = np.searchsorted(own, own, "left"), np.searchsorted(own, own, "right")
    others = len(column) - len(own)
    average_precision = float(((len(own) - own_lower) / (len(column) - lower)).mean())
    if not others:
        return np.nan, average_precision
    # Pairs of an own and another image in the right order; a tie is half a pair. Twice, so that it is whole.
    twice = int((lower - own_lower).sum()) + int((not_higher - own_not_higher).sum())
    return twice / (2 * len(own) * others), average_precision


def _blocks(
    scores: NDArray[np.floating], rows: Ints, images: Ints
) -> Iterator[tuple[Ints, NDArray[np.floating]]]:
    """Class indices and their columns as rows (a fresh copy), of the classes that are shown."""
    kind = computable(scores[:0]).dtype
    width = max(1, BLOCK_BYTES // max(1, len(rows) * kind.itemsize))
    # One piece of memory for all blocks: giving it back and asking again costs more than the copy.
    space = np.empty((min(width, scores.shape[1]), len(rows)), kind)
    for first in range(0, scores.shape[1], width):
        shown = np.flatnonzero(images[first : first + width])
        if not len(shown):
            continue
        block = space[: len(shown)]
        lowest, past = first + int(shown[0]), first + int(shown[-1]) + 1
        for start in range(0, len(rows), GATHERED_ROWS):
            part = _rows_of(scores, rows[start : start + GATHERED_ROWS], lowest, past)
            block[:, start : start + GATHERED_ROWS] = (
                part.T if len(shown) == past - lowest else part.T[shown - shown[0]]
            )
        yield first + shown, block


def _rows_of(scores: NDArray[np.floating], rows: Ints, first: int, past: int) -> NDArray[np.floating]:
    """Columns ``first`` to ``past`` of ascending rows; neighbours are not copied."""
    if rows[-1] - rows[0] + 1 == len(rows):
        return scores[rows[0] : rows[-1] + 1, first:past]
    return scores[rows, first:past]
