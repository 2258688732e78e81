"""Files that must not be believed: pictures outside the classes, and files no decoder should trust."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

from services.ops.demo.material import Exhibit, Kind

SIDE_PX = 28
GLYPHS = "ABCDEFGHJKLMNPQRSTUVWXYZabdefghkmnqrty&@#%?+*=$!<>^~"
"""Letters and signs; those that are drawn like a digit (O, o, I, l, |) would be no fair question."""
HOSTILE_NAME = "../../etc/\"quoted\" 'name' <img src=x onerror=alert(1)> \N{FLAMINGO}.png"
BOMB_SIDE_PX = 40_000


def out_of_scope_pictures(folder: Path) -> list[Exhibit]:
    """White glyphs on black, as large as the digits: what a guest might photograph instead."""
    from PIL import Image, ImageDraw, ImageFont

    place = folder / Kind.OUT_OF_SCOPE
    place.mkdir(parents=True, exist_ok=True)
    font = ImageFont.load_default(size=24)
    exhibits = []
    for number, glyph in enumerate(GLYPHS):
        picture = Image.new("L", (SIDE_PX, SIDE_PX))
        draw = ImageDraw.Draw(picture)
        draw.text((SIDE_PX / 2, SIDE_PX / 2), glyph, fill=255, font=font, anchor="mm")
        path = place / f"glyph-{number:02}.png"
        picture.save(path)
        name = HOSTILE_NAME if number == 0 else f"{Kind.OUT_OF_SCOPE}/{path.name}"
        exhibits.append(Exhibit(path, name, Kind.OUT_OF_SCOPE))
    return exhibits


def broken_files(folder: Path) -> list[Exhibit]:
    """One file of every sort that ends as rejected, or safely as a picture (the GIF's first frame)."""
    place = folder / Kind.BROKEN
    place.mkdir(parents=True, exist_ok=True)
    files = {
        "truncated.jpg": _jpeg()[:900],
        "a letter.jpg": b"Dear zoo, here is the photograph of the flamingo.\n" * 20,
        "empty.png": b"",
        "bomb.png": png_bomb(),
        "drawing.svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        "moving.gif": _animation(),
        "damaged.png": _damaged_png(),
    }
    exhibits = []
    for name, data in files.items():
        (place / name).write_bytes(data)
        exhibits.append(Exhibit(place / name, f"{Kind.BROKEN}/{name}", Kind.BROKEN))
    return exhibits


def png_bomb(side_px: int = BOMB_SIDE_PX) -> bytes:
    """A valid 1-bit PNG that decodes to ``side_px`` squared pixels from a few hundred kilobytes."""
    row = bytes(1 + (side_px + 7) // 8)
    packer = zlib.compressobj(1)
    packed = b"".join(packer.compress(row) for _ in range(side_px)) + packer.flush()
    header = struct.pack(">IIBBBBB", side_px, side_px, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _jpeg() -> bytes:
    from PIL import Image

    stored = io.BytesIO()
    Image.radial_gradient("L").save(stored, "JPEG", quality=90)
    return stored.getvalue()


def _damaged_png() -> bytes:
    from PIL import Image

    stored = io.BytesIO()
    Image.radial_gradient("L").save(stored, "PNG")
    data = bytearray(stored.getvalue())
    middle = len(data) // 2
    data[middle : middle + 64] = bytes(64)
    return bytes(data)


def _animation() -> bytes:
    from PIL import Image

    frames = [Image.linear_gradient("L").rotate(90 * turn).resize((64, 64)) for turn in range(4)]
    stored = io.BytesIO()
    frames[0].save(stored, "GIF", save_all=True, append_images=frames[1:], duration=200, loop=0)
    return stored.getvalue()
