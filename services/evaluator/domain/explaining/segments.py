"""Segments: a picture cut along its edges into parts that are hidden and shown as a whole.

SLIC (R. Achanta et al., SLIC Superpixels Compared to State-of-the-art Superpixel Methods, IEEE TPAMI 2012):
k-means of colour and place, each centre within a window of four cells. Stray pixels stay where they are: a
segment need not hang together to be hidden.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

COMPACTNESS = 10.0
"""How much a cell's width in place counts beside 10 units of CIELAB colour."""
ROUNDS, REACH = 5, 2.0
"""10 rounds gain little; half the reach leaves twice the variance of colour within segments (measured)."""

_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])  # D65


def segments_of(pixels: Pixels, cells: int) -> Ints:
    """Segment number of each pixel, 0.. without gaps, [S, S], of a picture [S, S, 3]; about ``cells``²."""
    side = pixels.shape[0]
    cells = max(1, min(cells, side))
    step = side / cells
    ticks = np.arange(side)
    of_tick = np.minimum((ticks / step).astype(np.int64), cells - 1)
    labels = of_tick[:, None] * cells + of_tick[None, :]
    places = np.stack(np.meshgrid(ticks, ticks, indexing="ij"), -1) * (COMPACTNESS / step)
    points = np.concatenate([_lab(pixels), places], -1)
    centres = _centres(points, labels, np.zeros((cells * cells, 5)))
    for _ in range(ROUNDS):
        labels = _nearest(points, labels, centres, step)
        centres = _centres(points, labels, centres)
    numbered: Ints = np.unique(labels, return_inverse=True)[1].reshape(side, side).astype(np.int64)
    return numbered


def _nearest(points: Floats, labels: Ints, centres: Floats, step: float) -> Ints:
    """The nearest centre of each pixel; a pixel that is in no centre's reach stays where it is."""
    nearest, labels = np.full(labels.shape, np.inf), labels.copy()
    for number, centre in enumerate(centres):
        middle = centre[3:] * (step / COMPACTNESS)
        top, left = np.maximum(middle - REACH * step, 0).astype(int)
        bottom, right = (middle + REACH * step).astype(int) + 1
        window = np.s_[top:bottom, left:right]
        distance = ((points[window] - centre) ** 2).sum(-1)
        nearer = distance < nearest[window]
        nearest[window][nearer] = distance[nearer]
        labels[window][nearer] = number
    return labels


def blurred(pixels: Pixels, share: float) -> Pixels:
    """The picture [S, S, 3] without detail: thrice the mean over squares of ``share`` of its side."""
    width = max(1, round(pixels.shape[0] * share)) // 2 * 2 + 1
    soft = pixels.astype(np.float64)
    for _ in range(3):
        for axis in (0, 1):
            soft = _mean_along(soft, width, axis)
    made: Pixels = np.clip(np.rint(soft), 0, 255).astype(np.uint8)
    return made


def _mean_along(values: Floats, width: int, axis: int) -> Floats:
    edge = [(0, 0)] * values.ndim
    edge[axis] = (width // 2 + 1, width // 2)
    sums = np.cumsum(np.pad(values, edge, mode="edge"), axis)
    length = values.shape[axis]
    upper, lower = (np.take(sums, np.arange(length) + shift, axis) for shift in (width, 0))
    mean: Floats = (upper - lower) / width
    return mean


def _centres(points: Floats, labels: Ints, before: Floats) -> Floats:
    """Mean of each segment's points; one without any stays."""
    flat = labels.reshape(-1)
    counts = np.bincount(flat, minlength=len(before))
    sums = np.stack([np.bincount(flat, column, len(before)) for column in points.reshape(-1, 5).T], -1)
    mean: Floats = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], before)
    return mean


def _lab(pixels: Pixels) -> Floats:
    """CIELAB of sRGB: equal steps look alike."""
    shares = pixels / 255.0
    linear = np.where(shares > 0.04045, ((shares + 0.055) / 1.055) ** 2.4, shares / 12.92)
    relative = linear @ _TO_XYZ.T / _WHITE
    bent = np.where(relative > 216 / 24389, np.cbrt(relative), (24389 / 27 * relative + 16) / 116)
    x, y, z = np.moveaxis(bent, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)
