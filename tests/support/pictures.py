"""Small pictures, good and hostile, made on the spot."""

from __future__ import annotations

import io
import math
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from contracts.values import RejectCode
from services.ingest.domain.picture import PictureRules
from services.ingest.domain.quality.flags import QualityLimits

ANYTHING_GOES = QualityLimits(
    blurry_above_smoothness=2, dark_below_level=0, over_exposed_above_share=1, low_contrast_below_levels=0,
    near_uniform_below_levels=0, back_lit_above_share=1, tiny_above_enlargement=1000,
    extreme_aspect_above_ratio=1e6, bordered_above_share=1,
)  # fmt: skip
"""Test pictures are tiny and plain: only the tests of the flags want to hear of it."""
RULES = PictureRules(image_size_px=64, thumbnail_px=32, max_pixels=4_000_000, quality=ANYTHING_GOES)
SVG = b'<?xml version="1.0"?>\n<!-- drawn -->\n<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
HOSTILE_NAMES = (
    "../../etc/passwd", "..\\..\\boot.ini", "/dev/null", "a\"b'c`d.png", "<img src=x onerror=alert(1)>.png",
    "\N{LION FACE}\N{ZERO WIDTH JOINER}.png", "nul\0byte.png", "new\nline.png", "-rf", "",
    "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe", "a" * 1024,
)  # fmt: skip


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    """A picture like no other: one per seed."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def photos(width: int, height: int, count: int) -> Iterator[Image.Image]:
    """Pictures with the spectrum of photographs (1/f), so that they cost codecs what photographs do."""
    side = math.isqrt(count) + 1  # each is another window on one scene
    rows, columns = height + side, width + side
    chance = np.random.default_rng(0)
    falloff = (
        np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns)[None, :]).clip(1 / rows) ** -1.25
    )
    planes = []
    for _ in range(3):
        plane = np.fft.irfft2(
            np.fft.rfft2(chance.standard_normal((rows, columns))) * falloff, (rows, columns)
        )
        planes.append((plane / plane.std()).astype(np.float32))
    shared, red, blue = planes
    pixels = np.stack([shared + red / 4, shared, shared + blue / 4], axis=2) * 45 + 118
    scene = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    for number in range(count):
        left, top = number % side, number // side
        yield scene.crop((left, top, left + width, top + height))


def corners(width: int = 40, height: int = 20) -> Image.Image:
    """Red in the upper left corner, green in the upper right, blue in the lower left: shows any turn."""
    image = Image.new("RGB", (width, height), "white")
    half = (width // 2, height // 2)
    image.paste((255, 0, 0), (0, 0, *half))
    image.paste((0, 255, 0), (half[0], 0, width, half[1]))
    image.paste((0, 0, 255), (0, half[1], half[0], height))
    return image


def encoded(image: Image.Image, image_format: str = "PNG", **options: Any) -> bytes:
    """The bytes of a file."""
    sink = io.BytesIO()
    image.save(sink, image_format, **options)
    return sink.getvalue()


def decoded(data: bytes) -> Image.Image:
    """The loaded picture in ``data``."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def with_orientation(image: Image.Image, orientation: int, image_format: str, **options: Any) -> bytes:
    """``image`` stored so that a reader has to turn it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(image, image_format, exif=exif, **options)


def heic(image: Image.Image, **options: Any) -> bytes:
    """A HEIC file; ``tile_size`` writes a grid of tiles, as phones do."""
    import pillow_heif  # only tests write HEIC

    sink = io.BytesIO()
    pillow_heif.from_pillow(image).save(sink, **options)
    return sink.getvalue()


def heic_of_stated_size(image: Image.Image, width: int, height: int, **options: Any) -> bytes:
    """A HEIC whose header states another size than the picture has."""
    true = struct.pack(">II", *image.size)
    data = heic(image, **options)
    assert b"ispe\0\0\0\0" + true in data
    return data.replace(b"ispe\0\0\0\0" + true, b"ispe\0\0\0\0" + struct.pack(">II", width, height))


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_bomb(width: int, height: int) -> bytes:
    """A PNG that promises ``width`` x ``height`` pixels in a few hundred kilobytes."""
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    squeeze = zlib.compressobj(1)
    row = bytes(1 + (width + 7) // 8)
    body = b"".join(squeeze.compress(row) for _ in range(min(height, 2000))) + squeeze.flush()
    chunks = png_chunk(b"IHDR", head) + png_chunk(b"IDAT", body) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def webp_bomb() -> bytes:
    """An extended WebP header with the largest canvas the format knows."""
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + b"\xff\xff\xff" * 2 + bytes(32)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def animated(image_format: str, frames: int = 3) -> bytes:
    """Frames, or pages, of different colours; red first."""
    colours = ("red", "lime", "blue", "gray", "white")[:frames]
    pictures = [Image.new("RGB", (64, 48), colour) for colour in colours]
    options = {} if image_format == "TIFF" else {"duration": 50}
    return encoded(pictures[0], image_format, save_all=True, append_images=pictures[1:], **options)


def bad_input() -> dict[str, tuple[bytes, RejectCode]]:
    """What people and attackers upload, with the code each ends in."""
    jpeg = encoded(noise(200, 150), "JPEG")
    png = encoded(noise(60, 60))
    return {
        "no bytes": (b"", RejectCode.EMPTY),
        "a text named .jpg": (b"Dear diary, today I saw a lion.\n", RejectCode.NOT_AN_IMAGE),
        "random bytes": (bytes(range(1, 256)), RejectCode.NOT_AN_IMAGE),
        "HTML": (b"<html><body><img src=x></body></html>", RejectCode.NOT_AN_IMAGE),
        "a cut JPEG": (jpeg[: len(jpeg) // 2], RejectCode.DAMAGED),
        "a JPEG's first bytes": (jpeg[:4], RejectCode.DAMAGED),
        "a cut PNG": (png[: len(png) // 2], RejectCode.DAMAGED),
        "a PNG's first bytes": (png[:20], RejectCode.DAMAGED),
        "a cut WebP": (encoded(noise(60, 60), "WEBP")[:100], RejectCode.DAMAGED),
        "a cut GIF": (animated("GIF")[:15], RejectCode.DAMAGED),
        "a cut BMP": (encoded(noise(60, 60), "BMP")[:500], RejectCode.DAMAGED),
        "a cut TIFF": (encoded(noise(60, 60), "TIFF")[:500], RejectCode.DAMAGED),
        "a PNG bomb": (png_bomb(40_000, 40_000), RejectCode.TOO_MANY_PIXELS),
        "a small PNG bomb": (png_bomb(3_000, 3_000), RejectCode.TOO_MANY_PIXELS),
        "a WebP bomb": (webp_bomb(), RejectCode.TOO_MANY_PIXELS),
        "an SVG": (SVG, RejectCode.UNSUPPORTED_FORMAT),
        "a bare SVG": (b"\xef\xbb\xbf  <svg/>", RejectCode.UNSUPPORTED_FORMAT),
        "a PDF": (b"%PDF-1.7\n1 0 obj\n", RejectCode.UNSUPPORTED_FORMAT),
        "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", RejectCode.UNSUPPORTED_FORMAT),
        "a HEIC's first bytes": (b"\x00\x00\x00\x18ftypheic" + bytes(40), RejectCode.DAMAGED),
        "a cut HEIC": (heic(noise(64, 64))[:-500], RejectCode.DAMAGED),
        "a cut AVIF": (encoded(noise(64, 64), "AVIF")[:-500], RejectCode.DAMAGED),
        "a HEIC bomb": (heic_of_stated_size(noise(64, 64), 30_000, 30_000), RejectCode.TOO_MANY_PIXELS),
        "a HEIC grid bomb": (
            heic_of_stated_size(noise(200, 130), 30_000, 30_000, tile_size=64),
            RejectCode.TOO_MANY_PIXELS,
        ),
        "a video": (b"\x00\x00\x00\x18ftypisom" + bytes(40), RejectCode.UNSUPPORTED_FORMAT),
        "a QuickTime video": (b"\x00\x00\x00\x14ftypqt  " + bytes(40), RejectCode.UNSUPPORTED_FORMAT),
        "a Photoshop file": (b"8BPS\x00\x01" + bytes(40), RejectCode.UNSUPPORTED_FORMAT),
        "a Netpbm": (b"P6 2 2 255\n" + bytes(12), RejectCode.UNSUPPORTED_FORMAT),
        "Lab samples": (encoded(Image.new("LAB", (9, 9)), "TIFF"), RejectCode.UNSUPPORTED_FORMAT),
        "float samples": (encoded(Image.new("F", (9, 9)), "TIFF"), RejectCode.UNSUPPORTED_FORMAT),
    }
