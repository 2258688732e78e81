"""A closer look at two pictures whose hashes are near: do their parts agree, one by one?

Both sketches lose their local mean (5 x 5), so that light and sky say nothing. Each of 49 overlapping blocks
of the one is then laid over the other, also a pixel beside its place, and the best correlation counts. The
mean over all blocks that show anything is the agreement, 0 to 1. A watermark or a logo spoils few blocks, a
crop of 5 % or a turn of 2 degrees moves each by about a pixel, and different pictures that share a hash (a
bird before the sky, a horizon) do not share what stands in the blocks.

All sums are of integers: the same on every machine, whatever the order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

SIDE_PX = 32
BLOCK_PX = 8
STEP_PX = 4
CELLS = SIDE_PX // STEP_PX
BLOCKS = CELLS - 1
REACH_PX = 1
LEAST_CONTRAST = 2
"""Standard deviation, in grey levels, from which a block shows anything."""
LEAST_BLOCKS = 8
"""Of 49. Fewer are no evidence either way."""
LEAST_IN_PLACE = 0.15
"""Pictures whose blocks agree less than that in their own places get no further look: nine of ten that share
a hash by chance, and hardly a copy cropped by 5 %."""
BACKGROUND_TOLERANCE = 5
"""Grey levels beside the commonest one that still count as background: JPEG makes as many."""


def _kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    try:
        return cast(Callable[..., Any], njit(cache=True, nogil=True)(function))
    except RuntimeError:  # no folder to keep the machine code in: compiled by each process
        return cast(Callable[..., Any], njit(nogil=True)(function))


def sketch_of(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(32, 32) of the (64, 64) grey picture that the hash is made of: the mean of each 2 x 2."""
    four = pixels.reshape(SIDE_PX, 2, SIDE_PX, 2).sum(axis=(1, 3), dtype=np.uint16)
    mean: NDArray[np.uint8] = ((four + 2) >> 2).astype(np.uint8)
    return mean


def detail_of(sketch: NDArray[np.uint8]) -> float:
    """Share of the sketch that is not background, the commonest grey level: 0 to 1."""
    around = np.ones(2 * BACKGROUND_TOLERANCE + 1, np.int64)
    background = int(np.convolve(np.bincount(sketch.ravel(), minlength=256), around, "same").max())
    return 1.0 - background / sketch.size


def agreement(one: bytes, other: bytes, orientation: int) -> float | None:
    """How well two sketches agree when the one is turned by that ``Orientation`` (its place in the enum).

    The same from both sides. None: too little is to be seen for an answer.
    """
    agreed, blocks = _agreement(_turned(_square(one), orientation), _square(other))
    # Rounded, for the blocks of a turned picture are added up in another order.
    return None if blocks < LEAST_BLOCKS else round(float(agreed), 9)


def _square(sketch: bytes) -> NDArray[np.uint8]:
    # A copy may be written to: kernels are compiled for that kind of array alone.
    return np.frombuffer(sketch, np.uint8).reshape(SIDE_PX, SIDE_PX).copy()


def _turned(sketch: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """As Pillow turns the picture; the order is that of ``Orientation``."""
    swapped = sketch.T
    back = slice(None, None, -1)
    made = (
        sketch, sketch[:, back], sketch[back], swapped[back],
        sketch[back, back], swapped[:, back], swapped, swapped[back, back],
    )  # fmt: skip
    return np.ascontiguousarray(made[orientation])


@_kernel
def _without_mean(sketch: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Each pixel minus the rounded mean of the 5 x 5 around it; outside, the border is repeated."""
    side = sketch.shape[0]
    rows = np.empty((side, side), np.int32)
    for y in range(side):
        for x in range(side):
            total = np.int32(0)
            for step in range(-2, 3):
                total += np.int32(sketch[y, min(max(x + step, 0), side - 1)])
            rows[y, x] = total
    made = np.empty((side, side), np.int32)
    for y in range(side):
        for x in range(side):
            total = np.int32(12)
            for step in range(-2, 3):
                total += rows[min(max(y + step, 0), side - 1), x]
            made[y, x] = np.int32(sketch[y, x]) - total // 25
    return made


@_kernel
def _agreement(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> tuple[float, int]:
    """Both ways, and the smaller number of blocks that show anything."""
    fixed, moved = _without_mean(one), _without_mean(other)
    best, seen = np.zeros((BLOCKS, BLOCKS)), np.zeros((BLOCKS, BLOCKS), np.bool_)
    _correlate(fixed, moved, best, seen)
    blocks = seen.sum()
    in_place = (best * seen).sum() / max(blocks, 1)
    if blocks < LEAST_BLOCKS or in_place < LEAST_IN_PLACE:
        return in_place, blocks
    back = best.copy()
    _beside(fixed, _bordered(moved), best)
    _beside(moved, _bordered(fixed), back)
    return ((best + back) * seen).sum() / (2 * blocks), blocks


@_kernel
def _beside(fixed: NDArray[np.int32], moved: NDArray[np.int32], best: NDArray[np.float64]) -> None:
    """Raise ``best`` by what the moved picture gives a pixel beside its place."""
    unused = np.zeros((BLOCKS, BLOCKS), np.bool_)
    for dy in range(2 * REACH_PX + 1):
        for dx in range(2 * REACH_PX + 1):
            if dy != REACH_PX or dx != REACH_PX:
                there = np.ascontiguousarray(moved[dy : dy + SIDE_PX, dx : dx + SIDE_PX])
                _correlate(fixed, there, best, unused)


@_kernel
def _correlate(
    one: NDArray[np.int32], other: NDArray[np.int32], best: NDArray[np.float64], seen: NDArray[np.bool_]
) -> None:
    """Raise ``best`` to the correlation of each block, and say which blocks show anything in either."""
    sums, squares = _cells(one, one, False), _cells(one, one, True)
    its_sums, its_squares = _cells(other, other, False), _cells(other, other, True)
    products = _cells(one, other, True)
    pixels = np.int64(BLOCK_PX * BLOCK_PX)
    least = LEAST_CONTRAST * LEAST_CONTRAST * pixels * pixels
    for y in range(BLOCKS):
        for x in range(BLOCKS):
            mean, its_mean = np.int64(_block(sums, y, x)), np.int64(_block(its_sums, y, x))
            own = _block(squares, y, x) * pixels - mean * mean
            its = _block(its_squares, y, x) * pixels - its_mean * its_mean
            seen[y, x] = own >= least or its >= least
            if own > 0 and its > 0:
                both = _block(products, y, x) * pixels - mean * its_mean
                best[y, x] = max(best[y, x], both / np.sqrt(np.float64(own) * np.float64(its)))


@_kernel
def _bordered(pixels: NDArray[np.int32]) -> NDArray[np.int32]:
    """The border repeated outside."""
    side = SIDE_PX + 2 * REACH_PX
    made = np.empty((side, side), np.int32)
    for y in range(side):
        for x in range(side):
            made[y, x] = pixels[
                min(max(y - REACH_PX, 0), SIDE_PX - 1), min(max(x - REACH_PX, 0), SIDE_PX - 1)
            ]
    return made


@_kernel
def _cells(one: NDArray[np.int32], other: NDArray[np.int32], multiplied: bool) -> NDArray[np.int32]:
    """Sums over cells of 4 x 4: of the products, or of ``one``."""
    made = np.empty((CELLS, CELLS), np.int32)
    column = np.empty(SIDE_PX, np.int32)
    for row in range(CELLS):
        column[:] = 0
        for y in range(row * STEP_PX, (row + 1) * STEP_PX):
            if multiplied:
                for x in range(SIDE_PX):
                    column[x] += one[y, x] * other[y, x]
            else:
                for x in range(SIDE_PX):
                    column[x] += one[y, x]
        for x in range(CELLS):
            start = x * STEP_PX
            made[row, x] = column[start] + column[start + 1] + column[start + 2] + column[start + 3]
    return made


@_kernel
def _block(cells: NDArray[np.int32], y: int, x: int) -> Any:
    """A block is two cells high and wide."""
    return cells[y, x] + cells[y, x + 1] + cells[y + 1, x] + cells[y + 1, x + 1]
