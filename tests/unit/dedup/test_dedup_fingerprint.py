from __future__ import annotations

import io

import imagehash
import numpy as np
import pytest
from PIL import Image

from contracts.values import Box
from services.dedup.domain.fingerprint import HASH_BYTES, NotComparable, fingerprint


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def textured(width: int, height: int, seed: int = 1) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def letterboxed(image: Image.Image, side: int) -> tuple[Image.Image, Box]:
    canvas = Image.new("RGB", (side, side))
    left, top = (side - image.width) // 2, (side - image.height) // 2
    canvas.paste(image, (left, top))
    return canvas, Box(left=left, top=top, width=image.width, height=image.height)


def bits_apart(one: bytes | None, other: bytes | None) -> int:
    assert one is not None
    assert other is not None
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()


def test_the_hash_is_the_library_s_own_on_the_same_pixels() -> None:
    image = textured(140, 140)
    hash_ = fingerprint(png(image), Box(left=0, top=0, width=140, height=140))
    assert hash_ is not None
    assert len(hash_) == HASH_BYTES
    assert hash_.hex() == str(imagehash.phash(image, hash_size=16))


def test_letterbox_bars_do_not_count() -> None:
    picture = textured(140, 60)
    canvas, box = letterboxed(picture, 140)
    bare = fingerprint(png(picture), Box(left=0, top=0, width=140, height=60))
    assert fingerprint(png(canvas), box) == bare


def test_pictures_that_share_only_their_bars_are_far_apart() -> None:
    one, box = letterboxed(textured(140, 40, seed=1), 140)
    other, _ = letterboxed(textured(140, 40, seed=2), 140)
    assert bits_apart(fingerprint(png(one), box), fingerprint(png(other), box)) > 80


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_a_flat_picture_has_no_hash_whatever_its_bars(shade: int) -> None:
    canvas, box = letterboxed(Image.new("RGB", (40, 20), (shade,) * 3), 40)
    assert fingerprint(png(canvas), box) is None


def test_a_one_pixel_picture_has_no_hash() -> None:
    assert fingerprint(png(textured(1, 1)), Box(left=0, top=0, width=1, height=1)) is None


def test_a_picture_one_pixel_high_is_hashed() -> None:
    assert fingerprint(png(textured(28, 1)), Box(left=0, top=0, width=28, height=1)) is not None


def test_a_box_outside_the_image_names_both() -> None:
    with pytest.raises(NotComparable, match=r"box 0,0 to 41,40 .* 40 x 40"):
        fingerprint(png(textured(40, 40)), Box(left=0, top=0, width=41, height=40))


@pytest.mark.parametrize("data", [b"", b"GIF89a", png(textured(40, 40))[:-60]], ids=["empty", "gif", "cut"])
def test_bytes_that_are_no_png_are_not_comparable(data: bytes) -> None:
    with pytest.raises(NotComparable, match="does not decode"):
        fingerprint(data, Box(left=0, top=0, width=1, height=1))
