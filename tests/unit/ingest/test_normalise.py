"""From uploaded bytes to a library picture."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from contracts.values import RejectCode
from services.ingest.domain.normalise import normalise
from services.ingest.domain.picture import Normalised, PictureRules, Rejection
from tests.support.pictures import (
    RULES,
    bad_input,
    corners,
    decoded,
    encoded,
    noise,
    with_orientation,
)

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
UNDO = {  # how a camera stores an upright picture under each orientation
    1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
}  # fmt: skip


def picture(data: bytes, rules: PictureRules = RULES) -> Normalised:
    result = normalise(data, rules)
    assert isinstance(result, Normalised), result
    return result


def content(result: Normalised) -> Image.Image:
    box = result.content
    return decoded(result.png).crop((box.left, box.top, box.left + box.width, box.top + box.height))


def quarter_colours(image: Image.Image) -> list[tuple[int, ...]]:
    """Colours amid the upper left, upper right and lower left quarter."""
    x, y = image.width // 4, image.height // 4
    return [image.getpixel(at) for at in ((x, y), (3 * x, y), (x, 3 * y))]  # type: ignore[misc]


def near(one: list[tuple[int, ...]], other: list[tuple[int, ...]], tolerance: int = 12) -> bool:
    return all(
        abs(a - b) <= tolerance for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True)
    )


@pytest.mark.parametrize("name", bad_input())
def test_bad_input_ends_in_its_code(name: str) -> None:
    data, code = bad_input()[name]
    result = normalise(data, RULES)
    assert isinstance(result, Rejection)
    assert result.code == code
    assert 10 < len(result.detail) < 600
    assert result.detail.isprintable()


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", UNDO)
def test_every_exif_orientation_is_set_upright(image_format: str, orientation: int) -> None:
    turn = UNDO[orientation]
    stored = corners() if turn is None else corners().transpose(turn)
    result = picture(with_orientation(stored, orientation, image_format))
    assert (result.width_px, result.height_px) == (40, 20)
    assert near(quarter_colours(content(result)), [RED, GREEN, BLUE], 40)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_impossible_orientation_is_ignored(orientation: int) -> None:
    assert picture(with_orientation(corners(), orientation, "JPEG")).width_px == 40


def test_a_broken_exif_block_does_not_cost_the_picture() -> None:
    data = encoded(corners(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff garbage")
    assert picture(data).width_px == 40


def test_alpha_lies_on_black_whatever_colour_it_hides() -> None:
    hidden = Image.new("RGBA", (40, 40), (255, 255, 255, 0))
    assert decoded(picture(encoded(hidden)).png).getbbox() is None
    half = Image.new("RGBA", (40, 40), (200, 100, 50, 128))
    assert content(picture(encoded(half))).getpixel((20, 20)) == pytest.approx((100, 50, 25), abs=1)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_every_mode_of_png_becomes_rgb(mode: str) -> None:
    result = picture(encoded(corners().convert(mode)))
    assert decoded(result.png).mode == "RGB"


def test_a_transparent_palette_colour_turns_black() -> None:
    image = Image.new("P", (20, 20), 1)
    image.putpalette([0, 0, 0, 255, 255, 255])
    assert decoded(picture(encoded(image, transparency=1)).png).getbbox() is None


def test_a_colour_key_of_an_rgb_png_turns_black() -> None:
    data = encoded(Image.new("RGB", (20, 20), (9, 200, 9)), transparency=(9, 200, 9))
    assert decoded(picture(data).png).getbbox() is None


def test_cmyk_becomes_rgb() -> None:
    result = picture(encoded(Image.new("RGB", (20, 20), "red").convert("CMYK"), "JPEG"))
    assert near([content(result).getpixel((9, 9))], [RED], 40)  # type: ignore[list-item]


@pytest.mark.parametrize("image_format", ["PNG", "TIFF"])
def test_16_bit_samples_are_shifted_not_clipped(image_format: str) -> None:
    deep = np.random.default_rng(1).integers(0, 65536, (30, 30), dtype=np.uint16)
    shifted = Image.fromarray((deep >> 8).astype(np.uint8))
    assert (
        picture(encoded(Image.fromarray(deep), image_format)).pixel_sha256
        == picture(encoded(shifted)).pixel_sha256
    )


def test_the_same_bytes_give_the_same_bytes() -> None:
    data = encoded(noise(90, 70), "JPEG")
    assert normalise(data, RULES) == normalise(data, RULES)


def test_lossless_copies_have_the_same_pixels_and_others_have_not() -> None:
    image = noise(50, 40)
    copies = [encoded(image, "PNG"), encoded(image, "BMP"), encoded(image, "TIFF", compression="tiff_lzw"),
              encoded(image, "WEBP", lossless=True), encoded(image, "PNG", compress_level=0),
              encoded(image.convert("RGBA"), "PNG"),
              with_orientation(image.transpose(Image.Transpose.ROTATE_90), 6, "PNG")]  # fmt: skip
    assert len({picture(data).pixel_sha256 for data in copies}) == 1
    others = [encoded(noise(50, 40, 1)), encoded(image.resize((25, 20))), encoded(image.rotate(180))]
    assert len({picture(data).pixel_sha256 for data in [*others, copies[0]]}) == 4


def test_a_jpeg_near_the_target_size_has_the_pixels_of_its_lossless_copy() -> None:
    jpeg = encoded(noise(150, 120), "JPEG")
    assert picture(jpeg).pixel_sha256 == picture(encoded(decoded(jpeg))).pixel_sha256


def test_a_large_jpeg_is_drafted_and_keeps_its_stated_size() -> None:
    large = corners(1600, 1200)
    result = picture(encoded(large, "JPEG"))
    assert (result.width_px, result.height_px) == (1600, 1200)
    assert near(quarter_colours(content(result)), [RED, GREEN, BLUE], 40)


def test_no_metadata_travels_into_what_is_stored() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "secret place")
    for size in ((RULES.image_size_px,) * 2, (300, 20)):
        exif = Image.Exif()
        exif[0x010E] = "secret place"
        data = encoded(noise(*size), pnginfo=info, exif=exif, icc_profile=b"secret place" * 20, dpi=(72, 72))
        result = picture(data)
        assert b"secret" not in result.png + result.thumbnail
        assert decoded(result.png).info == {}
        assert not decoded(result.thumbnail).getexif()


def test_a_thumbnail_shrinks_and_never_grows() -> None:
    assert decoded(picture(encoded(noise(300, 150))).thumbnail).size == (32, 16)
    small = decoded(picture(encoded(noise(5, 7))).thumbnail)
    assert (small.format, small.size) == ("WEBP", (5, 7))


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32), image_format=st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
)
def test_mutated_files_are_decoded_or_refused_and_nothing_else(seed: int, image_format: str) -> None:
    chance = random.Random(seed)
    data = bytearray(encoded(corners(), image_format))
    for _ in range(chance.randint(1, 30)):
        match chance.choice(["flip", "cut", "insert", "repeat"]):
            case "flip":
                data[chance.randrange(len(data))] = chance.randrange(256)
            case "cut":
                start = chance.randrange(len(data))
                del data[start : start + chance.randint(1, 16)]
            case "insert":
                data[chance.randrange(len(data)) : 0] = chance.randbytes(chance.randint(1, 16))
            case _:
                start = chance.randrange(len(data))
                data += data[start : start + 32]
        data = data or bytearray(b"\xff")
    result = normalise(bytes(data), RULES)
    if isinstance(result, Normalised):
        assert decoded(result.png).size == (RULES.image_size_px,) * 2
    else:
        assert result.code in set(RejectCode) - {RejectCode.EMPTY, RejectCode.DECODER_CRASHED}
