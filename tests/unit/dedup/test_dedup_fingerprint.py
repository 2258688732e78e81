from __future__ import annotations

import io

import imagehash
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from contracts.values import Box
from services.dedup.domain.fingerprint import HASH_BYTES, NotComparable, fingerprint, of_grey


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


def packed(hash_: imagehash.ImageHash) -> bytes:
    return np.packbits(hash_.hash).tobytes()


def kinds_of_pictures(kind: str, width: int, height: int, seed: int) -> Image.Image:
    """Grey pictures as hashes meet them, symmetric ones with many equal frequencies included."""
    pixels = np.zeros((height, width), np.uint8)
    if kind == "noise":
        pixels = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    elif kind == "one pixel":
        pixels[seed % height, seed % width] = 255
    elif kind == "slope":
        pixels += np.linspace(0, 255, width).astype(np.uint8)
    elif kind == "two halves":
        pixels[: height // 2] = 90
    elif kind == "blobs":
        return textured(width, height, seed).convert("L")
    return Image.fromarray(pixels)


KINDS = st.sampled_from(["noise", "one pixel", "slope", "two halves", "blobs", "flat"])
SIDES = st.integers(1, 90)


@settings(max_examples=150)
@given(KINDS, SIDES, SIDES, st.integers(0, 1000))
def test_both_hashes_are_the_library_s_own_on_the_same_pixels(
    kind: str, width: int, height: int, seed: int
) -> None:
    image = kinds_of_pictures(kind, width, height, seed)
    made = of_grey(image)
    darkest, brightest = image.getextrema()
    if darkest == brightest:
        assert (made.hash, made.hash64, made.turned, made.sketch) == (None, None, None, None)
    else:
        assert made.hash == packed(imagehash.phash(image, hash_size=16))
        assert made.hash64 == packed(imagehash.phash(image, hash_size=8))


def test_the_hash_of_a_normalised_colour_picture_is_the_library_s_own() -> None:
    image = textured(140, 139)
    made = fingerprint(png(image), Box(left=0, top=0, width=140, height=139))
    assert made.hash is not None
    assert len(made.hash) == HASH_BYTES
    assert made.hash.hex() == str(imagehash.phash(image, hash_size=16))


def test_letterbox_bars_do_not_count() -> None:
    picture = textured(140, 60)
    canvas, box = letterboxed(picture, 140)
    bare = fingerprint(png(picture), Box(left=0, top=0, width=140, height=60))
    assert fingerprint(png(canvas), box) == bare


def test_pictures_that_share_only_their_bars_are_far_apart() -> None:
    one, box = letterboxed(textured(140, 40, seed=1), 140)
    other, _ = letterboxed(textured(140, 40, seed=2), 140)
    assert bits_apart(fingerprint(png(one), box).hash, fingerprint(png(other), box).hash) > 80


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_a_flat_picture_has_no_hash_whatever_its_bars(shade: int) -> None:
    canvas, box = letterboxed(Image.new("RGB", (40, 20), (shade,) * 3), 40)
    made = fingerprint(png(canvas), box)
    assert (made.hash, made.turned, made.detail) == (None, None, 0.0)


def test_a_one_pixel_picture_has_no_hash() -> None:
    assert fingerprint(png(textured(1, 1)), Box(left=0, top=0, width=1, height=1)).hash is None


def test_a_picture_one_pixel_high_is_hashed() -> None:
    assert fingerprint(png(textured(28, 1)), Box(left=0, top=0, width=28, height=1)).hash is not None


def test_a_box_outside_the_image_names_both() -> None:
    with pytest.raises(NotComparable, match=r"box 0,0 to 41,40 .* 40 x 40"):
        fingerprint(png(textured(40, 40)), Box(left=0, top=0, width=41, height=40))


@pytest.mark.parametrize("data", [b"", b"GIF89a", png(textured(40, 40))[:-60]], ids=["empty", "gif", "cut"])
def test_bytes_that_are_no_png_are_not_comparable(data: bytes) -> None:
    with pytest.raises(NotComparable, match="does not decode"):
        fingerprint(data, Box(left=0, top=0, width=1, height=1))
