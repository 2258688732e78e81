from __future__ import annotations

import imagehash
import numpy as np
import pytest
from PIL import Image

from contracts.values import Orientation
from services.dedup.domain.fingerprint import HASH_BYTES, ORIENTATIONS, of_grey

SIDES_STAY = {
    Orientation.SAME,
    Orientation.FLIP_LEFT_RIGHT,
    Orientation.FLIP_TOP_BOTTOM,
    Orientation.ROTATE_180,
}
MOST_BITS = 4
"""Pillow rounds after pulling the rows and again after the columns: which comes first matters a little."""


def textured(width: int, height: int, seed: int) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (20, 20), np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def bits_off(image: Image.Image, orientation: Orientation) -> int:
    """Between the hash made of one transform and the library's of the turned picture."""
    turned = image
    if orientation is not Orientation.SAME:
        turned = image.transpose(Image.Transpose[orientation.name])
    own = of_grey(image).turned
    assert own is not None
    start = ORIENTATIONS.index(orientation) * HASH_BYTES
    library = np.packbits(imagehash.phash(turned, hash_size=16).hash).tobytes()
    return (int.from_bytes(own[start : start + HASH_BYTES]) ^ int.from_bytes(library)).bit_count()


@pytest.mark.parametrize("orientation", Orientation)
@pytest.mark.parametrize("size", [(299, 199), (200, 299), (64, 64), (37, 150)])
def test_each_turned_hash_is_that_of_the_turned_picture(
    orientation: Orientation, size: tuple[int, int]
) -> None:
    off = [bits_off(textured(*size, seed), orientation) for seed in range(12)]
    if orientation in SIDES_STAY:
        assert max(off) == 0
    else:
        assert max(off) <= MOST_BITS
        assert np.mean(off) <= 2


def test_the_first_of_the_turned_hashes_is_the_upright_one() -> None:
    made = of_grey(textured(80, 60, 1))
    assert made.turned is not None
    assert made.hash == made.turned[:HASH_BYTES]
    assert len(made.turned) == len(ORIENTATIONS) * HASH_BYTES
