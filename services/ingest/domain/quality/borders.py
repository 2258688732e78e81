"""Plain bars around a picture: letterboxes, frames, scans with a margin."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FLAT_LEVELS = 12
"""Levels between a bar's darkest and brightest pixel: what JPEG at quality 85 leaves of one colour."""
SAME_LEVELS = 8
STEP_LEVELS = 16
STEP_SHARE = 0.5
"""A bar ends everywhere at once. A white sky does not: of its next row only a part is something else."""
LEAST_ROWS = 2
LEAST_SIDE_PX = 36  # below it a stroke of line art ends as straight as a bar


def inside_borders(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The part of ``luma`` (height, width) within its bars; all of it when it has none or is too small."""
    if min(luma.shape) < LEAST_SIDE_PX:
        return luma
    top, bottom = _bar(luma), _bar(luma[::-1])
    rows = luma[top : len(luma) - bottom]
    left, right = _bar(rows.T), _bar(rows.T[::-1])
    return rows[:, left : rows.shape[1] - right]


def _bar(luma: NDArray[np.uint8]) -> int:
    """Rows of the bar that the first row belongs to, 0 when it is none."""
    level = int(luma[0, luma.shape[1] // 2])
    if int(luma[0].max()) - int(luma[0].min()) > FLAT_LEVELS:
        return 0  # nearly every photograph leaves here
    darkest, brightest = luma.min(axis=1).astype(int), luma.max(axis=1).astype(int)
    middle = (darkest + brightest) / 2
    plain: NDArray[Any] = (brightest - darkest <= FLAT_LEVELS) & (abs(middle - level) <= SAME_LEVELS)
    rows = len(plain) if plain.all() else int(plain.argmin())
    if rows < LEAST_ROWS or rows + 1 >= len(luma):
        return 0
    # Reducing the picture blended the row at the edge; the next one is the picture's.
    beyond = abs(luma[rows + 1].astype(int) - level) > STEP_LEVELS
    return rows if beyond.mean() >= STEP_SHARE else 0
