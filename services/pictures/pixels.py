"""From whatever mode a file has to plain pixels, and which way up they are."""

from __future__ import annotations

from PIL import Image

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
PLAIN_MODES = frozenset(("L", "RGB", "CMYK"))
"""Those that a colour profile may belong to."""


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


def without_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Pixels of a plain mode, of 16 bits the high ones, and the opacity (mode L) apart, if there is one.

    Raises:
        NoAgreedRange: 32-bit integer, floating-point or Lab samples.
    """
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
    return (image if image.mode in PLAIN_MODES else image.convert("RGB")), None
