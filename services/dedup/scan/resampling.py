"""Pillow's Lanczos resize of an 8-bit picture, bit for bit, in machine code: a quarter of the time.

Pillow filters with integers: coefficients of 22 bits, first along the rows, then along the columns, rounded
to 8 bits after each. The same integers give the same picture, so the hashes stay those of imagehash.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.dedup.index.compiled import kernel

PRECISION_BITS = 32 - 8 - 2
LANCZOS_SUPPORT = 3.0
SIZES_KEPT = 256
"""Folders hold pictures of few sizes; making the coefficients of one takes longer than using them."""


class Weights(NamedTuple):
    """How each pixel of the result is made along one axis."""

    first: NDArray[np.int64]
    """First source pixel, shape (out,)."""
    length: NDArray[np.int64]
    """So many source pixels, shape (out,)."""
    factor: NDArray[np.int32]
    """Their weights times 2 ** 22, shape (out, most)."""


@lru_cache(maxsize=SIZES_KEPT)
def lanczos(source_px: int, target_px: int) -> Weights:
    """Weights that pull ``source_px`` pixels to ``target_px``."""
    scale = source_px / target_px
    stretch = max(scale, 1.0)
    support = LANCZOS_SUPPORT * stretch
    most = math.ceil(support) * 2 + 1
    first, length = np.zeros(target_px, np.int64), np.zeros(target_px, np.int64)
    factor = np.zeros((target_px, most), np.int32)
    for number in range(target_px):
        centre = (number + 0.5) * scale
        start = max(int(centre - support + 0.5), 0)
        end = min(int(centre + support + 0.5), source_px)
        weights = [_filter((x + start - centre + 0.5) * (1.0 / stretch)) for x in range(end - start)]
        total = 0.0
        for weight in weights:  # in this order: sum() rounds otherwise
            total += weight
        first[number], length[number] = start, end - start
        for x, weight in enumerate(weights):
            share = weight / total if total else weight
            factor[number, x] = int(share * (1 << PRECISION_BITS) + (-0.5 if share < 0 else 0.5))
    return Weights(first, length, factor)


def _filter(x: float) -> float:
    return _sinc(x) * _sinc(x / LANCZOS_SUPPORT) if -LANCZOS_SUPPORT <= x < LANCZOS_SUPPORT else 0.0


def _sinc(x: float) -> float:
    if x == 0.0:
        return 1.0
    x *= math.pi
    return math.sin(x) / x


@kernel
def resize(grey: NDArray[np.uint8], across: Weights, down: Weights, columns_first: bool) -> NDArray[np.uint8]:
    """``grey``, shape (height, width), pulled to the size that the weights were made for."""
    # Turned, so that each pass adds whole lines of numbers: the compiler makes vectors of that.
    if columns_first:
        turned = _pulled(np.ascontiguousarray(_pulled(grey, down).T), across)
        made: NDArray[np.uint8] = np.ascontiguousarray(turned.T)
    else:
        turned = _pulled(np.ascontiguousarray(grey.T), across)
        made = _pulled(np.ascontiguousarray(turned.T), down)
    return made


@kernel
def _pulled(lines: NDArray[np.uint8], weights: Weights) -> NDArray[np.uint8]:
    width = lines.shape[1]
    if len(weights.first) == len(lines):
        return lines
    made = np.empty((len(weights.first), width), np.uint8)
    sums = np.empty(width, np.int32)
    for number in range(len(weights.first)):
        sums[:] = 1 << (PRECISION_BITS - 1)
        for x in range(weights.length[number]):
            weight = weights.factor[number, x]
            line = lines[weights.first[number] + x]
            for at in range(width):
                sums[at] += np.int32(line[at]) * weight
        for at in range(width):
            value = sums[at] >> PRECISION_BITS
            made[number, at] = 0 if value < 0 else (255 if value > 255 else value)
    return made


@lru_cache(maxsize=SIZES_KEPT)
def columns_first(width: int, height: int, side_px: int) -> bool | None:
    """Which pass this Pillow does first for pictures of a size; None: neither order gives its result.

    Version 13 turned the order for tall pictures, which moves some pixels by a level or two: so it is asked.
    """
    noise = np.random.default_rng(0).integers(0, 256, (height, width), np.uint8)
    wanted = np.asarray(Image.fromarray(noise).resize((side_px, side_px), Image.Resampling.LANCZOS))
    across, down = lanczos(width, side_px), lanczos(height, side_px)
    for order in (False, True):
        if np.array_equal(resize(noise, across, down, order), wanted):
            return order
    return None
