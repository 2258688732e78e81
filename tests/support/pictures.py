"""Small pictures, good and hostile, made on the spot."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

from contracts.values import RejectCode
from services.ingest.domain.picture import PictureRules

RULES = PictureRules(image_size_px=64, thumbnail_px=32, max_pixels=4_000_000)
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


def animated_gif(frames: int = 5) -> bytes:
    """A few frames of different colours."""
    pictures = [Image.new("P", (30, 20), number) for number in range(frames)]
    for picture in pictures:
        picture.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9, 7, 7, 7])
    return encoded(pictures[0], "GIF", save_all=True, append_images=pictures[1:], duration=50)


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
        "a cut GIF": (animated_gif()[:15], RejectCode.DAMAGED),
        "a cut BMP": (encoded(noise(60, 60), "BMP")[:500], RejectCode.DAMAGED),
        "a cut TIFF": (encoded(noise(60, 60), "TIFF")[:500], RejectCode.DAMAGED),
        "a PNG bomb": (png_bomb(40_000, 40_000), RejectCode.TOO_MANY_PIXELS),
        "a small PNG bomb": (png_bomb(3_000, 3_000), RejectCode.TOO_MANY_PIXELS),
        "a WebP bomb": (webp_bomb(), RejectCode.TOO_MANY_PIXELS),
        "an SVG": (SVG, RejectCode.UNSUPPORTED_FORMAT),
        "a bare SVG": (b"\xef\xbb\xbf  <svg/>", RejectCode.UNSUPPORTED_FORMAT),
        "a PDF": (b"%PDF-1.7\n1 0 obj\n", RejectCode.UNSUPPORTED_FORMAT),
        "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", RejectCode.UNSUPPORTED_FORMAT),
        "a HEIC": (b"\x00\x00\x00\x18ftypheic" + bytes(40), RejectCode.UNSUPPORTED_FORMAT),
        "a Photoshop file": (b"8BPS\x00\x01" + bytes(40), RejectCode.UNSUPPORTED_FORMAT),
        "a Netpbm": (b"P6 2 2 255\n" + bytes(12), RejectCode.UNSUPPORTED_FORMAT),
        "float samples": (encoded(Image.new("F", (9, 9)), "TIFF"), RejectCode.UNSUPPORTED_FORMAT),
    }
