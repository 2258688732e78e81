"""The common PNG (8 bits, grey or RGB, not interlaced) in half of libpng's time; the rest is left to Pillow.

libdeflate unpacks the data and checks its sum, machine code takes the row filters back and makes the grey
picture with Pillow's weights. A file with any doubt about it is None here and gets Pillow's verdict, so
what is refused and why does not depend on this module.
"""

from __future__ import annotations

import struct

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from services.dedup.scan.unfiltering import grey_of_grey, grey_of_rgb

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHUNK = struct.Struct(">I4s")
HEADER = struct.Struct(">II5B")
HEADER_END = 8 + 8 + HEADER.size + 4
CHANNELS = {0: 1, 2: 3}
"""By colour type: grey and RGB."""
UNDERSTOOD = frozenset(
    (
        b"pHYs",
        b"gAMA",
        b"sRGB",
        b"cHRM",
        b"iCCP",
        b"tEXt",
        b"zTXt",
        b"iTXt",
        b"tIME",
        b"bKGD",
        b"sBIT",
        b"hIST",
    )
)
"""Chunks without meaning for the grey values. Transparency, orientation and animation are left to Pillow."""


def grey_png(data: bytes, max_pixels: int) -> NDArray[np.uint8] | None:
    """Grey picture, shape (height, width), as Pillow's ``convert("L")`` makes it; None: ask Pillow."""
    if len(data) < HEADER_END or data[:8] != SIGNATURE or CHUNK.unpack_from(data, 8) != (13, b"IHDR"):
        return None
    width, height, depth, colour, packing, filtering, interlaced = HEADER.unpack_from(data, 16)
    channels = CHANNELS.get(colour)
    if channels is None or (depth, packing, filtering, interlaced) != (8, 0, 0, 0):
        return None
    if not 0 < width * height <= max_pixels or not _sound(data, 12, HEADER_END - 4):
        return None
    packed = _image_data(data)
    row_bytes = 1 + width * channels
    if packed is None:
        return None
    raw = bytearray(row_bytes * height)
    try:
        unpacked = imagecodecs.deflate_decode(packed, out=raw)
    except (imagecodecs.DeflateError, ValueError):
        return None
    if len(unpacked) != len(raw):
        return None
    grey = np.empty((height, width), np.uint8)
    rows = np.frombuffer(raw, np.uint8).reshape(height, row_bytes)
    good = grey_of_rgb(rows, grey) if channels == 3 else grey_of_grey(rows, grey)
    return grey if good else None


def _image_data(data: bytes) -> bytes | None:
    """What the IDAT chunks hold together, None when a chunk is damaged or matters in another way."""
    parts: list[bytes] = []
    at = HEADER_END
    while at + 12 <= len(data):
        size, kind = CHUNK.unpack_from(data, at)
        end = at + 8 + size
        if end + 4 > len(data):
            return None
        if kind == b"IEND":
            return parts[0] if len(parts) == 1 else b"".join(parts)
        if kind == b"IDAT":
            if not _sound(data, at + 4, end):
                return None
            parts.append(data[at + 8 : end])
        elif kind not in UNDERSTOOD:
            return None
        at = end + 4
    return None


def _sound(data: bytes, start: int, end: int) -> bool:
    """Whether the checksum behind a chunk's kind and content is theirs."""
    return bool(imagecodecs.deflate_crc32(data[start:end]) == int.from_bytes(data[end : end + 4]))
