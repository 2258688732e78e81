"""The hashes of a picture, those of domain/fingerprint.py bit for bit, in a tenth of the time.

A bit says whether a frequency lies above the median of all. Sums in another order differ by 1e-9 at most, so
they give the same bits whenever nothing lies that near to the median; a picture where something does (a
drawing with symmetries) is left to domain/fingerprint.py, which is what these hashes are defined by.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.dedup.index.compiled import kernel
from services.dedup.scan.resampling import columns_first, lanczos, resize

HASH_SIZE, SIDE_PX, ORIENTATIONS = 16, 64, 8
"""As in domain/fingerprint.py, which takes longer to import than a folder of thousands takes to read."""
TURNED_BYTES = ORIENTATIONS * HASH_SIZE * HASH_SIZE // 8
SKETCH_BYTES = (SIDE_PX // 2) ** 2
TOLERANCE = 5
"""``BACKGROUND_TOLERANCE`` of domain/sketch.py."""
NEAR_THE_MEDIAN = 1e-6
"""Far above the rounding errors of a transform of 4,096 bytes, far below the steps of its results."""
SIZES_COUNTED = 100_000
SMALL_PIXELS = 2**20
"""In larger pictures decoding takes so much longer that it does not matter."""
KNOWN_AFTER = 3
"""Pictures of a size before its weights are made, which takes as long as resizing four by Pillow."""


class Hashes(NamedTuple):
    """Of one picture."""

    turned: bytes | None
    """As in ``Fingerprint``: 8 x 32 bytes, the upright hash first; None for a picture of one grey value."""
    sketch: bytes | None
    """As there: 32 x 32 bytes."""
    background: int
    """So many pixels of the sketch are background: ``Fingerprint.detail`` is the share of the others."""
    sharpness: int
    """Mean second difference in 1/1024 of a level; comparable between pictures of one size."""


def _cosines() -> NDArray[np.float64]:
    """The lowest rows of the transform (DCT-II as scipy's), shape (HASH_SIZE, SIDE_PX)."""
    angle = np.pi * np.arange(HASH_SIZE)[:, None] * (2 * np.arange(SIDE_PX)[None, :] + 1) / (2 * SIDE_PX)
    made: NDArray[np.float64] = 2 * np.cos(angle)
    return made


COSINES = _cosines()
COSINES_T = np.ascontiguousarray(COSINES.T)
PLACES = ((0, 6), (1, 3), (2, 5), (4, 7))
"""Places in ``Orientation`` of the picture mirrored not, left to right, top to bottom and both ways, and of
the same transposed."""
_seen: Counter[tuple[int, int]] = Counter()


def hashes_of(grey: NDArray[np.uint8]) -> Hashes:
    """Of a grey picture, shape (height, width), contiguous."""
    darkest, brightest, sharpness = _measures(grey)
    if darkest == brightest:
        return Hashes(None, None, 0, 0)
    bits = np.empty((ORIENTATIONS, HASH_SIZE * HASH_SIZE), np.bool_)
    sketch = np.empty((SIDE_PX // 2, SIDE_PX // 2), np.uint8)
    small = _small(grey)
    background = _sketch(small, sketch)
    if not _bits(small, COSINES, COSINES_T, bits):
        from services.dedup.domain.fingerprint import of_grey  # noqa: PLC0415 - see HASH_SIZE

        return Hashes(of_grey(Image.fromarray(grey)).turned, sketch.tobytes(), background, sharpness)
    return Hashes(np.packbits(bits).tobytes(), sketch.tobytes(), background, sharpness)


def _small(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture as imagehash transforms it."""
    height, width = grey.shape
    if len(_seen) >= SIZES_COUNTED:
        _seen.clear()
    _seen[width, height] += 1
    known = _seen[width, height] >= KNOWN_AFTER and width * height <= SMALL_PIXELS
    order = columns_first(width, height, SIDE_PX) if known else None
    if order is None:
        # A copy, for Pillow's own pixels may not be written to, and kernels are compiled for those that may.
        return np.array(Image.fromarray(grey).resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS))
    small: NDArray[np.uint8] = resize(grey, lanczos(width, SIDE_PX), lanczos(height, SIDE_PX), order)
    return small


@kernel
def _measures(grey: NDArray[np.uint8]) -> tuple[int, int, int]:
    """Darkest and brightest value, and the mean second difference of inner pixels times 1024."""
    height, width = grey.shape
    darkest, brightest = np.uint8(255), np.uint8(0)
    total = np.int64(0)
    for y in range(height):
        row = grey[y]
        above, below = grey[max(y - 1, 0)], grey[min(y + 1, height - 1)]
        line = np.int64(0)
        for x in range(width):
            darkest, brightest = min(darkest, row[x]), max(brightest, row[x])
        for x in range(1, width - 1):
            line += abs(2 * np.int32(row[x]) - np.int32(row[x - 1]) - np.int32(row[x + 1]))
            line += abs(2 * np.int32(row[x]) - np.int32(above[x]) - np.int32(below[x]))
        total += line
    return int(darkest), int(brightest), int(total * 1024 // (height * width))


@kernel
def _sketch(small: NDArray[np.uint8], sketch: NDArray[np.uint8]) -> int:
    """Fill ``sketch``, shape (32, 32), as domain/sketch.py does; the pixels of its background."""
    levels = np.zeros(256, np.int64)
    for y in range(len(sketch)):
        for x in range(len(sketch)):
            four = np.int32(small[2 * y, 2 * x]) + np.int32(small[2 * y, 2 * x + 1])
            four += np.int32(small[2 * y + 1, 2 * x]) + np.int32(small[2 * y + 1, 2 * x + 1])
            sketch[y, x] = (four + 2) >> 2
            levels[sketch[y, x]] += 1
    most = np.int64(0)
    for level in range(256):
        around = levels[max(level - TOLERANCE, 0) : min(level + TOLERANCE, 255) + 1].sum()
        most = max(most, around)
    return int(most)


@kernel
def _bits(
    small: NDArray[np.uint8],
    cosines: NDArray[np.float64],
    cosines_t: NDArray[np.float64],
    bits: NDArray[np.bool_],
) -> bool:
    """Fill ``bits``, shape (8, size * size); False when a value is too near to the median."""
    size, side = cosines.shape
    low = np.zeros((size, size))
    line = np.empty(side)
    for k in range(size):
        line[:] = 0.0
        for y in range(side):
            share = cosines[k, y]
            for x in range(side):
                line[x] += share * small[y, x]
        for x in range(side):
            share = line[x]
            for other in range(size):
                low[k, other] += share * cosines_t[x, other]
    # Mirroring negates every odd frequency along its axis; a quarter turn transposes as well.
    signed = np.empty((size, size))
    for flips in range(4):
        across, down = flips & 1, flips >> 1
        for k in range(size):
            for other in range(size):
                negated = (across & other & 1) ^ (down & k & 1)
                signed[k, other] = -low[k, other] if negated else low[k, other]
        parted = np.partition(signed.reshape(-1), size * size // 2)
        above = parted[size * size // 2]
        below = parted[: size * size // 2].max()
        if above - below < NEAR_THE_MEDIAN:
            return False
        median = (above + below) / 2
        upright, transposed = PLACES[flips]
        for k in range(size):
            for other in range(size):
                bit = signed[k, other] > median
                bits[upright, k * size + other] = bit
                bits[transposed, other * size + k] = bit
    return True


def warm_up() -> None:
    """Compile for this machine, or load what was compiled."""
    noise = np.random.default_rng(0).integers(0, 256, (SIDE_PX + 1, SIDE_PX + 2), np.uint8)
    for _ in range(KNOWN_AFTER):
        hashes_of(noise)
