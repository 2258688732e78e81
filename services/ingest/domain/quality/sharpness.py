"""How smooth the sharpest parts of a picture are."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))
LONG_LAG = 2
TILE_PX = 32
"""An eighth of the working size: a subject that fills a tenth of the picture still fills a tile."""
EVERY_ROWS = 2  # half the work, and of a mean over a tile nothing is lost
BUSY_SHARE = 0.2  # tiles with less than that of the busiest one's structure are background
SHARPEST_PERCENTILE = 10
NOISE_FLOOR = 0.1  # levels squared; keeps the logarithm finite
LEAST_STRUCTURE = 4.0
"""Levels squared: where nothing stands out by two levels there is nothing to be sharp."""


def smoothness(luma: NDArray[np.uint8]) -> float | None:
    """Growth of differences with distance: near 0 for noise, 0.5 for sharp edges, 1 for a blurred picture.

    The exponent H of mean((I(x + d) - I(x))^2) ~ d^2H between distances of one and two pixels (the
    structure function of Kolmogorov 1941; Pentland 1984 for pictures). Each direction counts on its own,
    for motion blurs only one: the result is that of the blurriest direction, taken where the picture is
    sharpest in it, so that a blurred background is no fault.

    Returns:
        None when the picture is too small or too plain to be judged.
    """
    if min(luma.shape) < TILE_PX + 2 * LONG_LAG:
        return None
    values = luma.astype(np.float32)
    exponents = [_exponent(values, direction) for direction in DIRECTIONS]
    found = [exponent for exponent in exponents if exponent is not None]
    return max(found) if found else None


def _exponent(values: NDArray[np.float32], direction: tuple[int, int]) -> float | None:
    far = _structure(values, direction, LONG_LAG)
    if far.max() < LEAST_STRUCTURE:
        return None
    busy = far >= BUSY_SHARE * far.max()
    near = _structure(values, direction, 1)[busy]
    growth = np.log((far[busy] + NOISE_FLOOR) / (near + NOISE_FLOOR)) / (2 * math.log(LONG_LAG))
    return float(np.percentile(growth, SHARPEST_PERCENTILE))


def _structure(values: NDArray[np.float32], direction: tuple[int, int], lag: int) -> NDArray[np.float32]:
    """Mean squared difference at ``lag`` pixels along ``direction`` in each whole tile."""
    rows = (values.shape[0] - 2 * LONG_LAG) // TILE_PX
    columns = (values.shape[1] - 2 * LONG_LAG) // TILE_PX
    height, width = rows * TILE_PX, columns * TILE_PX
    down, across = LONG_LAG + lag * direction[0], LONG_LAG + lag * direction[1]
    here = values[LONG_LAG : LONG_LAG + height : EVERY_ROWS, LONG_LAG : LONG_LAG + width]
    apart = values[down : down + height : EVERY_ROWS, across : across + width] - here
    apart *= apart
    by_tile = apart.reshape(rows, TILE_PX // EVERY_ROWS, width).sum(axis=1).reshape(rows, columns, TILE_PX)
    mean: NDArray[np.float32] = by_tile.sum(axis=2).ravel() / (TILE_PX * TILE_PX // EVERY_ROWS)
    return mean
