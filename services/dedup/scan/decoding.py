"""From the bytes of a hostile file to an upright picture. Runs in a bounded process."""

from __future__ import annotations

import hashlib
import io
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from services.dedup.scan.formats import NotAPicture, recognise
from services.dedup.scan.png import grey_png
from services.pictures.pixels import SIDEWAYS, UPRIGHT, NoAgreedRange, orientation, without_alpha
from services.pictures.reading import load_heif_reader, printable

MAX_PIXELS = 64_000_000
"""As ingest: above every common phone's 48 and 50 megapixels."""
DRAFT_PX = 256
"""Large JPEGs are decoded at a fraction of their size, at least this on each side: at most 2 bits of 256
change, and it takes a seventh of the time."""
THUMBNAIL_PX = 200
STRIP_ROWS = 256


class Picture(NamedTuple):
    """``grey``, shape (h, w), may be smaller than the upright picture, whose size stands beside it."""

    grey: NDArray[np.uint8]
    width_px: int
    height_px: int


def decode(data: bytes) -> Picture:
    """The grey picture to hash: upright, alpha on black, of 16 bits the high ones.

    Raises:
        NotAPicture: with the reason, for a person; whatever the bytes lead a decoder to ends here.
        MemoryError: the limit of the process was met.
    """
    grey = grey_png(data, MAX_PIXELS)
    if grey is not None:
        return Picture(grey, grey.shape[1], grey.shape[0])
    image, size = _upright(data, ("L", DRAFT_PX))
    return Picture(np.array(image if image.mode == "L" else image.convert("L")), *size)


def pixel_digest(data: bytes) -> bytes:
    """SHA-256 of the upright picture's pixels at full size: equal for lossless copies in other formats.

    Raises:
        NotAPicture, MemoryError: as ``decode``.
    """
    image, size = _upright(data, None)
    rgb = image.convert("RGB")
    digest = hashlib.sha256(f"rgb {size}\n".encode())
    for top in range(0, rgb.height, STRIP_ROWS):
        digest.update(rgb.crop((0, top, rgb.width, min(rgb.height, top + STRIP_ROWS))).tobytes())
    return digest.digest()


def thumbnail(data: bytes) -> bytes:
    """A small JPEG of the upright picture, in colour.

    Raises:
        NotAPicture, MemoryError: as ``decode``.
    """
    image, _ = _upright(data, (None, 2 * THUMBNAIL_PX))
    image.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    plain = Image.new("RGB", image.size)  # what the file says beside its pixels must not travel along
    plain.paste(image)
    sink = io.BytesIO()
    plain.save(sink, "JPEG", quality=70)
    return sink.getvalue()


def _upright(data: bytes, draft: tuple[str | None, int] | None) -> tuple[Image.Image, tuple[int, int]]:
    """Mode L or RGB, and the upright size of the whole picture.

    ``draft``: mode and least side in pixels that are enough, of a JPEG.
    """
    name = recognise(data)
    try:
        with _opened(data, name) as image:
            width, height = image.size
            _check_size(width, height)
            if draft is not None and name == "JPEG" and image.mode in ("L", "RGB"):
                mode, side = draft
                image.draft(mode, (side, side))
            image.load()
            turn = orientation(image)  # after load: PNG may carry its EXIF behind the pixels
            plain = _plain(image)
    except (NotAPicture, MemoryError):
        raise
    except NoAgreedRange as error:
        raise NotAPicture(str(error)) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise NotAPicture(f"it has more than {MAX_PIXELS:,} pixels") from None
    except Exception as error:  # Pillow raises whatever a broken file leads it to
        raise NotAPicture(f"the {name} data cannot be decoded: {printable(error)}") from error
    if turn not in UPRIGHT:
        return plain, (width, height)
    size = (height, width) if turn in SIDEWAYS else (width, height)
    return plain.transpose(UPRIGHT[turn]), size


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise NotAPicture(f"{width} x {height} pixels are more than {MAX_PIXELS:,}")


def _opened(data: bytes, name: str) -> Image.Image:
    if name == "HEIF":
        try:
            load_heif_reader()
        except ImportError:
            raise NotAPicture("HEIC cannot be read here: install pi-heif") from None
    return Image.open(io.BytesIO(data), formats=[name])


def _plain(image: Image.Image) -> Image.Image:
    """Mode L or RGB: alpha lies on black, 16-bit samples keep their high byte; no profile is applied."""
    plain, alpha = without_alpha(image)
    if alpha is None:
        return plain if plain.mode == "L" else plain.convert("RGB")
    rgb = plain.convert("RGB")
    rgb.paste((0, 0, 0), (0, 0, *rgb.size), ImageChops.invert(alpha))
    return rgb
