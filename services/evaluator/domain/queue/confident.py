"""Confident learning: which labels a model's answers speak against, and how many there are of each mix-up.

C. Northcutt, L. Jiang, I. Chuang, Confident Learning: Estimating Uncertainty in Dataset Labels, Journal of
Artificial Intelligence Research 70 (2021), section 3. cleanlab counts the same, but for images whose score
reaches several thresholds while their best class misses its own: there it goes by the best class, and the
paper and this module by the best of those reached.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.evaluator.domain.answers import NO_CLASS, Floats, Ints

CHUNK_SCORES = 262_144
"""Scores looked at together: 2 MiB stay near the processor, and a memory-mapped matrix is never in memory
as a whole."""
THRESHOLD_SLACK = 1e-6
"""A score that misses a threshold by a rounding of float32 reaches it."""


@dataclass(frozen=True)
class Confident:
    """What the scores say of each image's label; entries of images without a label (NO_CLASS) mean nothing.

    ``confident`` is the class whose threshold the score reaches, the best of several, NO_CLASS for none.
    ``other`` is the best class that is not the label.
    """

    labels: Ints
    thresholds: Floats
    """By class: mean score of the class on the images labelled so (self-confidence); infinite without one."""
    confident: Ints
    other: Ints
    p_label: Floats
    p_other: Floats

    @property
    def margin(self) -> Floats:
        """Normalised margin, 0..1: 0 is certainly another class, 1 certainly the label."""
        return (self.p_label - self.p_other + 1.0) / 2.0

    @property
    def off_diagonal(self) -> NDArray[np.bool_]:
        """The label is likely wrong: the image is confidently of another class."""
        sure = (self.labels != NO_CLASS) & (self.confident != NO_CLASS)
        wrong: NDArray[np.bool_] = sure & (self.confident != self.labels)
        return wrong


def confident_learning(scores: NDArray[np.floating], labels: Ints) -> Confident:
    """Look at scores [N x C], which may be memory-mapped, in two passes; labels are indices or NO_CLASS."""
    images, classes = scores.shape
    p_label, p_other = np.zeros(images), np.zeros(images)
    other, confident = np.full(images, NO_CLASS), np.full(images, NO_CLASS)
    for rows, chunk in _chunks(scores):
        own, at = labels[rows], np.arange(len(chunk))
        known = own != NO_CLASS
        p_label[rows] = np.where(known, chunk[at, own], 0.0)
        chunk[at[known], own[known]] = -1.0
        other[rows] = chunk.argmax(axis=1)
        p_other[rows] = np.maximum(chunk[at, other[rows]], 0.0)
    thresholds = self_confidence(p_label, labels, classes)
    if classes == 1:
        other[:] = NO_CLASS
    for rows, chunk in _chunks(scores):
        chunk[chunk < thresholds - THRESHOLD_SLACK] = -1.0
        own, at, best = labels[rows], np.arange(len(chunk)), chunk.argmax(axis=1)
        highest = chunk[at, best]
        # Nothing speaks against a label that scores as high as any other class.
        best = np.where((own != NO_CLASS) & (chunk[at, own] == highest), own, best)
        confident[rows] = np.where(highest >= 0.0, best, NO_CLASS)
    return Confident(labels, thresholds, confident, other, p_label, p_other)


def self_confidence(p_label: Floats, labels: Ints, classes: int) -> Floats:
    """Mean score of each class on the images labelled so; infinite for a class without images."""
    known = labels != NO_CLASS
    counts = np.bincount(labels[known], minlength=classes)
    sums = np.bincount(labels[known], weights=p_label[known], minlength=classes)
    means = np.full(classes, np.inf)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means


@dataclass(frozen=True)
class MixUp:
    """So many images labelled ``label`` are likely of class ``likely``; class indices.

    ``counted`` are those in the confident joint, ``estimated`` the same extrapolated to all images of the
    label (equation 3 of the paper).
    """

    label: int
    likely: int
    counted: int
    estimated: float


def mix_ups(found: Confident) -> tuple[MixUp, ...]:
    """The confident joint off its diagonal, largest estimate first, without its zeros."""
    classes = len(found.thresholds)
    known = found.labels != NO_CLASS
    images = np.bincount(found.labels[known], minlength=classes)
    sure = known & (found.confident != NO_CLASS)
    codes, counts = np.unique(found.labels[sure] * classes + found.confident[sure], return_counts=True)
    label, likely = codes // classes, codes % classes
    joint = np.bincount(label, weights=counts, minlength=classes)
    made = [
        MixUp(int(i), int(j), int(n), float(n * images[i] / joint[i]))
        for i, j, n in zip(label, likely, counts, strict=True)
        if i != j
    ]
    return tuple(sorted(made, key=lambda one: (-one.estimated, one.label, one.likely)))


def _chunks(scores: NDArray[np.floating]) -> Iterator[tuple[slice, Floats]]:
    """Rows and a copy of their scores, which may be changed; the whole is never in memory."""
    size = max(1, CHUNK_SCORES // max(1, scores.shape[1]))
    for first in range(0, len(scores), size):
        rows = slice(first, first + size)
        yield rows, np.array(scores[rows], np.float64)
