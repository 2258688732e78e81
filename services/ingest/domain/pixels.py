"""From whatever mode a file has to sRGB pixels, and what they are told by."""

from __future__ import annotations

import hashlib

from PIL import Image, ImageChops

from services.ingest.domain.colour import to_srgb
from services.pictures.pixels import without_alpha

STRIP_ROWS = 256  # hashing by strips keeps the copy of a large picture's pixels small


def to_rgb(image: Image.Image) -> Image.Image:
    """Pixels of a loaded image as sRGB: alpha lies on black, 16-bit samples keep their high byte.

    Raises:
        NoAgreedRange: 32-bit integer, floating-point or Lab samples.
    """
    plain, alpha = without_alpha(image)
    rgb = to_srgb(plain, image.info.get("icc_profile"))
    if alpha is not None:  # painted over in place: a second picture of 64 megapixels is 256 MB
        rgb.paste((0, 0, 0), (0, 0, *rgb.size), ImageChops.invert(alpha))
    return rgb


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
