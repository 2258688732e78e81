"""From whatever mode a file has to upright RGB pixels."""

from __future__ import annotations

import hashlib

from PIL import Image, ImageChops

from services.ingest.domain.colour import SPACES, to_srgb

ORIENTATION_TAG = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = frozenset((5, 6, 7, 8))
HIGH_BYTE = {"I;16": 1, "I;16L": 1, "I;16B": 0, "I;16N": 1}
STRIP_ROWS = 256  # hashing by strips keeps the copy of a large picture's pixels small


class NoAgreedRange(ValueError):
    """The samples have no agreed black and white, so any conversion would be a guess."""


def orientation(image: Image.Image) -> int:
    """EXIF orientation 1..8; a broken EXIF block is no reason to lose the picture, so it counts as 1."""
    try:
        value = image.getexif().get(ORIENTATION_TAG, 1)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - the parser raises whatever the block leads it to
        return 1
    return value if value in UPRIGHT else 1


def to_rgb(image: Image.Image) -> Image.Image:
    """Pixels of a loaded image as sRGB: alpha lies on black, 16-bit samples keep their high byte.

    Raises:
        NoAgreedRange: 32-bit integer, floating-point or Lab samples.
    """
    plain, alpha = _without_alpha(image)
    rgb = to_srgb(plain, image.info.get("icc_profile"))
    if alpha is not None:  # painted over in place: a second picture of 64 megapixels is 256 MB
        rgb.paste((0, 0, 0), (0, 0, *rgb.size), ImageChops.invert(alpha))
    return rgb


def _without_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Pixels of mode L, RGB or CMYK, whatever a colour profile may belong to, and the opacity apart."""
    if image.mode in HIGH_BYTE:
        # Pillow's own conversion clips at 255 and so turns most 16-bit pictures white.
        samples = image.tobytes()[HIGH_BYTE[image.mode] :: 2]
        return Image.frombytes("L", image.size, samples), None
    if image.mode in ("I", "F", "LAB"):
        raise NoAgreedRange(
            f"pixels of mode {image.mode!r} have no agreed range; save them with 8 or 16 bits"
        )
    if image.has_transparency_data:
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")
        plain = image.getchannel("L") if image.mode == "LA" else rgba.convert("RGB")
        return plain, rgba.getchannel("A")
    return (image if image.mode in SPACES else image.convert("RGB")), None


def pixel_digest(image: Image.Image, source_size: tuple[int, int]) -> str:
    """SHA-256 of upright sRGB pixels with their size and the source's (width, height).

    A lossless copy in another format has the same digest. The source's size is part of it because
    a large JPEG is decoded at a fraction of its size, and two sizes of one photo are not the same; such
    a JPEG and a lossless copy of it differ, for the copy is decoded at its full size.
    """
    digest = hashlib.sha256(f"rgb {source_size} {image.size}\n".encode())
    for top in range(0, image.height, STRIP_ROWS):
        strip = image.crop((0, top, image.width, min(image.height, top + STRIP_ROWS)))
        digest.update(strip.tobytes())
    return digest.hexdigest()
