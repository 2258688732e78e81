"""The perceptual hash of an image's content."""

from __future__ import annotations

import io

import imagehash
import numpy as np
from PIL import Image

from contracts.values import Box

DETECTOR = "phash-256/1"
"""Stored with each hash: hashes of different detectors must not be compared."""

HASH_SIZE = 16
"""16 x 16 = 256 bits: 64 bits cannot tell one handwritten digit from another."""

HASH_BYTES = HASH_SIZE * HASH_SIZE // 8


class NotComparable(Exception):
    """The object is no PNG that holds the content box; trying again cannot help."""


def fingerprint(png: bytes, content: Box) -> bytes | None:
    """256-bit pHash (``imagehash.phash``, hash_size 16, row by row) of the picture in the letterbox.

    Returns 32 bytes, or None for a picture of one grey value: its hash would be rounding noise
    that all such pictures share.

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
    picture = grey.crop((content.left, content.top, right, bottom))
    darkest, brightest = picture.getextrema()
    if darkest == brightest:
        return None
    return np.packbits(imagehash.phash(picture, hash_size=HASH_SIZE).hash).tobytes()
