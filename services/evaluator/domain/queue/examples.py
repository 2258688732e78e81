"""What a person compares a doubtful image with: the most alike image of its label, and of the other class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.evaluator.domain.answers import Floats, Ints

NONE = -1
CANDIDATES = 512
"""Images of a class that are looked through, the highest scoring: more make no better example."""
QUERIES = 4096
"""Images compared together: 4096 x 512 similarities are 8 MB."""


@dataclass(frozen=True)
class Wanted:
    """Images to find examples for: their positions, and the class that each one's example is of."""

    positions: Ints
    classes: Ints


def nearest_examples(
    like: NDArray[np.floating], wanted: Wanted, labels: Ints, trusted: NDArray[np.bool_], p_label: Floats
) -> Ints:
    """For each wanted image the position of the most alike (cosine) trusted image of its class, or NONE.

    ``like`` [N x D] are similarity vectors or, without them, score rows; it may be memory-mapped. Trusted
    are images that the model names as labelled; where a class has none but the image itself, one that is
    not trusted is better than nothing.
    """
    found = np.full(len(wanted.positions), NONE, np.int64)
    for index in np.unique(wanted.classes[wanted.classes >= 0]):
        rows = np.flatnonzero(wanted.classes == index)
        candidates = _candidates(int(index), labels, trusted, p_label)
        if not len(candidates):
            continue
        gallery = _unit(like[candidates])
        for first in range(0, len(rows), QUERIES):
            part = rows[first : first + QUERIES]
            asked = wanted.positions[part]
            alike = _unit(like[asked]) @ gallery.T
            alike[asked[:, None] == candidates[None, :]] = -np.inf  # no image is its own example
            best = alike.argmax(axis=1)
            there = np.isfinite(alike[np.arange(len(part)), best])
            found[part] = np.where(there, candidates[best], NONE)
    return found


def _candidates(index: int, labels: Ints, trusted: NDArray[np.bool_], p_label: Floats) -> Ints:
    """Positions of the class's best images, ascending; others count only where fewer than two are trusted."""
    members = np.flatnonzero(labels == index)
    good = members[trusted[members]]
    chosen = good if len(good) > 1 else members
    if len(chosen) > CANDIDATES:
        chosen = chosen[np.argsort(-p_label[chosen], kind="stable")[:CANDIDATES]]
    return np.sort(chosen)


def _unit(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    values = np.asarray(rows, np.float32)
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    unit = np.zeros_like(values)
    np.divide(values, lengths, out=unit, where=lengths > 0)
    return unit
