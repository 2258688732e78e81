"""What dedup keeps of a picture: perceptual hashes, how much there is to compare, and a small sketch."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from PIL import Image

from contracts.values import Box, Orientation
from services.dedup.domain.sketch import detail_of, sketch_of

DETECTOR = "phash-256/1"
"""Stored with each hash: hashes of different detectors must not be compared."""

HASH_SIZE = 16
"""16 x 16 = 256 bits: 64 bits cannot tell one handwritten digit from another."""
HASH_BYTES = HASH_SIZE * HASH_SIZE // 8
HASH64_SIZE = 8
HASH64_BYTES = HASH64_SIZE * HASH64_SIZE // 8
FREQUENCY_FACTOR = 4
"""imagehash transforms a picture of 4 times the side of the hash and keeps the low quarter."""

ALTERNATING = np.where(np.arange(HASH_SIZE) % 2, -1.0, 1.0)

ORIENTATIONS = tuple(Orientation)
"""``Fingerprint.turned`` holds their hashes in this order."""


class NotComparable(Exception):
    """The object is no PNG that holds the content box; trying again cannot help."""


@dataclass(frozen=True)
class Fingerprint:
    """Of one picture. A picture of one grey value has no hashes: they would be noise that all such share."""

    hash: bytes | None
    """32 bytes: ``imagehash.phash`` with hash_size 16, row by row, of the picture inside the letterbox."""
    hash64: bytes | None
    """8 bytes: the same with hash_size 8."""
    turned: bytes | None
    """8 x 32 bytes: the hash of the picture turned by each ``Orientation``, in the order of the enum.

    All are made of one transform. Those of mirrored pictures and of half turns equal imagehash's; where the
    sides change places up to 4 bits differ, because Pillow rounds after the rows and after the columns."""
    detail: float
    """Share of the picture that is not background, 0 to 1: low in line art and before an empty sky."""
    sketch: bytes | None
    """32 x 32 grey values, row by row: the picture pulled to a square, for a closer look."""


def fingerprint(png: bytes, content: Box) -> Fingerprint:
    """Fingerprint of the picture in the box of a normalised image.

    Raises:
        NotComparable: undecodable, or the box reaches outside the image.
    """
    try:
        with Image.open(io.BytesIO(png), formats=("PNG",)) as opened:
            grey = opened.convert("L")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise NotComparable(f"the normalised image does not decode: {error}") from error
    right, bottom = content.left + content.width, content.top + content.height
    if right > grey.width or bottom > grey.height:
        raise NotComparable(
            f"content box {content.left},{content.top} to {right},{bottom} reaches outside the "
            f"{grey.width} x {grey.height} image; ingest must send the box of the normalised image"
        )
    return of_grey(grey.crop((content.left, content.top, right, bottom)))


def of_grey(picture: Image.Image) -> Fingerprint:
    """Fingerprint of a picture of mode L, without a letterbox."""
    darkest, brightest = picture.getextrema()
    if darkest == brightest:
        return Fingerprint(None, None, None, 0.0, None)
    pixels = _pulled(picture, HASH_SIZE)
    low = _low_frequencies(pixels, HASH_SIZE)
    turned = _packed(np.stack([_turned(low, orientation) for orientation in ORIENTATIONS]))
    sketch = sketch_of(pixels)
    return Fingerprint(
        hash=turned[:HASH_BYTES],
        hash64=_packed(_low_frequencies(_pulled(picture, HASH64_SIZE), HASH64_SIZE)[None]),
        turned=turned,
        detail=detail_of(sketch),
        sketch=sketch.tobytes(),
    )


def _pulled(picture: Image.Image, size: int) -> NDArray[np.uint8]:
    """To a square, as imagehash does it."""
    side = size * FREQUENCY_FACTOR
    return np.asarray(picture.resize((side, side), Image.Resampling.LANCZOS))


def _low_frequencies(pixels: NDArray[np.uint8], size: int) -> NDArray[np.float64]:
    # Column by column, then row by row, like imagehash: the sums round the same way.
    columns = scipy.fft.dct(pixels.astype(np.float64), axis=0)[:size]
    low: NDArray[np.float64] = scipy.fft.dct(columns, axis=1)[:, :size]
    return low


def _turned(low: NDArray[np.float64], orientation: Orientation) -> NDArray[np.float64]:
    """The transform of the turned picture: mirroring negates every odd frequency along that axis."""
    mirrored = low * ALTERNATING
    match orientation:
        case Orientation.SAME:
            return low
        case Orientation.FLIP_LEFT_RIGHT:
            return mirrored
        case Orientation.FLIP_TOP_BOTTOM:
            return low * ALTERNATING[:, None]
        case Orientation.ROTATE_90:  # counter-clockwise, as Pillow: transpose, then top to bottom
            return low.T * ALTERNATING[:, None]
        case Orientation.ROTATE_180:
            return mirrored * ALTERNATING[:, None]
        case Orientation.ROTATE_270:
            return low.T * ALTERNATING
        case Orientation.TRANSPOSE:
            return low.T
        case Orientation.TRANSVERSE:
            return low.T * ALTERNATING * ALTERNATING[:, None]


def _packed(low: NDArray[np.float64]) -> bytes:
    """Bits of transforms, (n, size, size), one after the other."""
    flat = low.reshape(len(low), -1)
    return np.packbits(flat > np.median(flat, axis=1, keepdims=True)).tobytes()
