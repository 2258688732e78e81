"""PNG's row filters taken back, and the grey picture made, in one go (W3C PNG 3rd edition, section 9)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.dedup.index.compiled import kernel

RED, GREEN, BLUE, HALF = 19595, 38470, 7471, 0x8000
"""Pillow's weights of ``convert("L")``, of 65536."""
SUB, UP, AVERAGE, PAETH = 1, 2, 3, 4


@kernel
def grey_of_rgb(rows: NDArray[np.uint8], grey: NDArray[np.uint8]) -> bool:
    """Fill ``grey`` (h, w) from filtered ``rows`` (h, 1 + 3 w), which are changed; False: no such filter."""
    height, width = grey.shape
    above = np.zeros(3 * width, np.uint8)
    for number in range(height):
        row = rows[number, 1:]
        method = rows[number, 0]
        if method == UP:
            for at in range(3 * width):
                row[at] += above[at]
        elif method == SUB:
            for at in range(3, 3 * width):
                row[at] += row[at - 3]
        elif method == AVERAGE:
            _average(row, above, 3)
        elif method == PAETH:
            _paeth_rgb(row, above)
        elif method != 0:
            return False
        for x in range(width):
            value = (
                RED * np.int32(row[3 * x])
                + GREEN * np.int32(row[3 * x + 1])
                + BLUE * np.int32(row[3 * x + 2])
            )
            grey[number, x] = (value + HALF) >> 16
        above = row
    return True


@kernel
def grey_of_grey(rows: NDArray[np.uint8], grey: NDArray[np.uint8]) -> bool:
    """Fill ``grey`` (h, w) from filtered ``rows`` (h, 1 + w), which are changed; False: no such filter."""
    height, width = grey.shape
    above = np.zeros(width, np.uint8)
    for number in range(height):
        row = rows[number, 1:]
        method = rows[number, 0]
        if method == UP:
            for at in range(width):
                row[at] += above[at]
        elif method == SUB:
            for at in range(1, width):
                row[at] += row[at - 1]
        elif method == AVERAGE:
            _average(row, above, 1)
        elif method == PAETH:
            left = corner = np.int32(0)
            for at in range(width):
                up = np.int32(above[at])
                left = (np.int32(row[at]) + _paeth(left, up, corner)) & 255
                row[at] = left
                corner = up
        elif method != 0:
            return False
        grey[number] = row
        above = row
    return True


@kernel
def _average(row: NDArray[np.uint8], above: NDArray[np.uint8], channels: int) -> None:
    for at in range(channels):
        row[at] += above[at] >> 1
    for at in range(channels, len(row)):
        row[at] += (np.int32(row[at - channels]) + np.int32(above[at])) >> 1


@kernel
def _paeth_rgb(row: NDArray[np.uint8], above: NDArray[np.uint8]) -> None:
    """The three colours side by side: each waits for its own left neighbour only."""
    left0 = left1 = left2 = np.int32(0)
    corner0 = corner1 = corner2 = np.int32(0)
    for at in range(0, len(row), 3):
        up0, up1, up2 = np.int32(above[at]), np.int32(above[at + 1]), np.int32(above[at + 2])
        left0 = (np.int32(row[at]) + _paeth(left0, up0, corner0)) & 255
        left1 = (np.int32(row[at + 1]) + _paeth(left1, up1, corner1)) & 255
        left2 = (np.int32(row[at + 2]) + _paeth(left2, up2, corner2)) & 255
        row[at], row[at + 1], row[at + 2] = left0, left1, left2
        corner0, corner1, corner2 = up0, up1, up2


@kernel
def _paeth(left: np.int32, up: np.int32, corner: np.int32) -> np.int32:
    to_left, to_up = up - corner, left - corner
    to_corner = abs(to_left + to_up)
    to_left, to_up = abs(to_left), abs(to_up)
    near = up if to_up < to_left else left
    return corner if to_corner < min(to_left, to_up) else near


def warm_up() -> None:
    """Compile for this machine, or load what was compiled."""
    grey_of_rgb(np.zeros((1, 4), np.uint8), np.empty((1, 1), np.uint8))
    grey_of_grey(np.zeros((1, 2), np.uint8), np.empty((1, 1), np.uint8))
