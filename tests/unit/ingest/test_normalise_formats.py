"""What each file format needs of its own."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from contracts.values import RejectCode
from services.ingest.domain.normalise import normalise
from services.ingest.domain.picture import Normalised, PictureRules, Rejection
from tests.support.pictures import (
    RULES,
    animated,
    corners,
    decoded,
    encoded,
    heic,
    heic_of_stated_size,
    noise,
    png_chunk,
    with_orientation,
)

COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
UPRIGHT_FROM = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}


def picture(data: bytes, rules: PictureRules = RULES) -> Normalised:
    result = normalise(data, rules)
    assert isinstance(result, Normalised), result
    return result


def shows_corners(result: Normalised, tolerance: int = 40) -> bool:
    """Whether the picture is ``corners()``, upright."""
    box = result.content
    content = decoded(result.png).crop((box.left, box.top, box.left + box.width, box.top + box.height))
    x, y = content.width // 4, content.height // 4
    seen = [content.getpixel(at) for at in ((x, y), (3 * x, y), (x, 3 * y))]
    return bool(np.abs(np.array(seen) - np.array(COLOURS)).max() <= tolerance)


@pytest.mark.parametrize("tile_size", [None, 64])
def test_a_heic_is_decoded_in_one_piece_or_as_a_grid_of_tiles(tile_size: int | None) -> None:
    result = picture(heic(corners(320, 160), quality=90, tile_size=tile_size))
    assert (result.width_px, result.height_px, result.image_format) == (320, 160, "HEIF")
    assert shows_corners(result)
    assert not result.animated


@pytest.mark.parametrize("tile_size", [None, 64])
@pytest.mark.parametrize("orientation", UPRIGHT_FROM)
def test_a_turned_heic_is_turned_once(orientation: int, tile_size: int | None) -> None:
    stored = corners(320, 160).transpose(UPRIGHT_FROM[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    # As phones do, the writer says it twice: by a turn of the decoded picture (irot) and by EXIF.
    data = heic(stored, quality=90, exif=exif.tobytes(), tile_size=tile_size)
    assert b"irot" in data
    result = picture(data)
    assert (result.width_px, result.height_px) == (320, 160)
    assert shows_corners(result)


@pytest.mark.parametrize("orientation", UPRIGHT_FROM)
def test_a_turned_avif_is_turned_once(orientation: int) -> None:
    stored = corners(64, 32).transpose(UPRIGHT_FROM[orientation])
    result = picture(with_orientation(stored, orientation, "AVIF", quality=90))
    assert (result.width_px, result.height_px, result.image_format) == (64, 32, "AVIF")
    assert shows_corners(result)


@pytest.mark.parametrize("tile_size", [None, 64])
def test_a_heic_that_lies_about_its_size_is_refused(tile_size: int | None) -> None:
    generous = PictureRules(64, 32, 10**8)
    result = normalise(heic_of_stated_size(noise(200, 130), 8000, 8000, tile_size=tile_size), generous)
    assert isinstance(result, Rejection)
    assert result.code == RejectCode.DAMAGED
    assert "size" in result.detail


@pytest.mark.parametrize("image_format", ["PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_alpha_lies_on_black_in_every_format(image_format: str) -> None:
    hidden = Image.new("RGBA", (64, 64), (255, 255, 255, 0))
    data = heic(hidden) if image_format == "HEIF" else encoded(hidden, image_format)
    brightest = max(high for _, high in decoded(picture(data).png).getextrema())  # type: ignore[misc]
    assert brightest <= 2


@pytest.mark.parametrize("image_format", ["GIF", "PNG", "WEBP", "TIFF", "AVIF"])
def test_of_several_frames_the_first_is_taken_and_the_others_are_told(image_format: str) -> None:
    result = picture(animated(image_format))
    assert result.animated
    red, green, blue = decoded(result.png).getpixel((32, 32))  # type: ignore[misc]
    assert red > 200
    assert green < 60
    assert blue < 60
    assert not picture(encoded(noise(20, 20), image_format)).animated


def test_a_heic_of_several_pictures_is_told_too() -> None:
    data = heic(corners(64, 48), append_images=[], save_all=True)
    assert not picture(data).animated


def test_a_broken_second_frame_does_not_cost_the_first() -> None:
    data = animated("GIF")
    second = data.index(b"\x2c", data.index(b"\x2c") + 1)
    assert picture(data[: second + 4]).width_px == 64


def test_a_photographs_preview_does_not_make_it_animated() -> None:
    data = encoded(noise(60, 40), "MPO", save_all=True, append_images=[noise(30, 20)])
    result = picture(data)
    assert (result.image_format, result.animated) == ("JPEG", False)


def deep_png(samples: np.ndarray) -> bytes:  # type: ignore[type-arg]
    height, width, channels = samples.shape
    head = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    body = png_chunk(b"IHDR", head) + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def deep_tiff(samples: np.ndarray) -> bytes:  # type: ignore[type-arg]
    height, width, channels = samples.shape
    pixels = samples.astype("<u2").tobytes()
    bits = struct.pack("<3H", 16, 16, 16)
    entries = [
        (256, 3, 1, width), (257, 3, 1, height), (258, 3, channels, 8 + len(pixels)), (259, 3, 1, 1),
        (262, 3, 1, 2), (273, 4, 1, 8), (277, 3, 1, channels), (278, 3, 1, height), (279, 4, 1, len(pixels)),
    ]  # fmt: skip
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return (
        b"II*\0" + struct.pack("<I", 8 + len(pixels) + len(bits)) + pixels + bits + directory + bytes(4)
    )  # fmt: skip


def test_16_bit_colours_are_shifted_not_clipped() -> None:
    deep = np.random.default_rng(1).integers(0, 65536, (30, 30, 3), dtype=np.uint16)
    shifted = picture(encoded(Image.fromarray((deep >> 8).astype(np.uint8)))).pixel_sha256
    assert picture(deep_png(deep)).pixel_sha256 == shifted
    assert picture(deep_tiff(deep)).pixel_sha256 == shifted


def test_16_bit_alpha_lies_on_black() -> None:
    deep = np.full((20, 20, 4), 65535, dtype=np.uint16)
    deep[..., 3] = 0
    assert decoded(picture(deep_png(deep)).png).getbbox() is None


def test_nothing_but_a_decoder_process_loads_the_heic_reader() -> None:
    code = (
        "import sys; import services.ingest.app; "
        "assert not any(name.startswith(('pi_heif', 'pillow_heif')) for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
