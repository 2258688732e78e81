"""From uploaded bytes to a library picture. Runs in the decoder child: the bytes are hostile."""

from __future__ import annotations

import io
import zlib

from PIL import Image

from contracts.values import Box, RejectCode
from services.ingest.domain.letterbox import content_box, fit
from services.ingest.domain.picture import Normalised, PictureRules, Rejection
from services.ingest.domain.pixels import pixel_digest, to_rgb
from services.ingest.domain.quality.flags import flags, refusal
from services.ingest.domain.quality.measures import measure
from services.ingest.domain.recognise import recognise, webp_size
from services.pictures.pixels import SIDEWAYS, UPRIGHT, NoAgreedRange, orientation
from services.pictures.reading import load_heif_reader, printable

DRAFT_MARGIN = 2  # a draft of at least twice the target leaves the final resize to Lanczos
REDUCING_GAP = 3.0  # Pillow's documentation: from 3.0 on no visible difference to the full filter
# Of 299 px photographs (digits), level 1 with runs takes 9.6 ms (3.5) and 136 kB (25); without that
# strategy 11.1 (4.8) and 138 (22), at level 2 13.6 (5.1) and 137 (20), at 6 twice as long; and what
# trainers read again and again unpacks in 3.8 ms (1.6) instead of 4.9 (2.4).
PNG_OPTIONS = {"compress_level": 1, "compress_type": zlib.Z_RLE}
# Of 160 px: method 0 takes 1.3 ms, 2 2.1 ms for 8 % less, the default 4 2.8 ms for 10 % less.
WEBP_OPTIONS = {"quality": 80, "method": 0}
THUMBNAIL_MARGIN = 1.5
"""A thumbnail is made of the resized picture when that is so much larger: a third of the time."""
SEVERAL_FRAMES = frozenset(("GIF", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"))
"""Not JPEG: what a camera adds there (MPO) is a preview or a depth map of the same picture."""
REASON_CHARACTERS = 500


def normalise(data: bytes, rules: PictureRules) -> Normalised | Rejection:
    """Decode, set upright, letterbox and encode; the same bytes give the same result.

    Raises:
        MemoryError: the decoder's memory limit was met; anything else the bytes do is a Rejection.
    """
    name = recognise(data)
    if isinstance(name, Rejection):
        return name
    try:
        return _decoded(data, name, rules)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        limit = str(error).split(", could", maxsplit=1)[0]
        return Rejection(RejectCode.TOO_MANY_PIXELS, f"{limit}; upload a smaller copy")
    except NoAgreedRange as error:
        return Rejection(RejectCode.UNSUPPORTED_FORMAT, str(error))
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - Pillow raises whatever a broken file leads it to
        reason = printable(error)[:REASON_CHARACTERS]
        return Rejection(RejectCode.DAMAGED, f"the {name} data cannot be decoded: {reason}")


def _decoded(data: bytes, name: str, rules: PictureRules) -> Normalised | Rejection:
    size = webp_size(data) if name == "WEBP" else None
    if size is not None and _too_many(size, rules):
        return _refusal(size, rules)
    if name == "HEIF":
        load_heif_reader()
    with Image.open(io.BytesIO(data), formats=[name]) as image:
        size = image.size
        if _too_many(size, rules):
            return _refusal(size, rules)
        if name == "JPEG":
            target = max(rules.image_size_px, rules.thumbnail_px) * DRAFT_MARGIN
            image.draft(None, fit(*size, target))  # None keeps the mode
        image.load()
        turn = orientation(image)  # after load: PNG may carry its EXIF behind the pixels
        rgb = to_rgb(image)
        animated = name in SEVERAL_FRAMES and _has_more_frames(image)
    if turn in UPRIGHT:
        rgb = rgb.transpose(UPRIGHT[turn])
        size = size[::-1] if turn in SIDEWAYS else size
    quality = measure(rgb, size, rules.image_size_px)
    raised = flags(quality, rules.quality, animated=animated)
    refused = refusal(raised, rules.reject_flags)
    if refused is not None:
        return Rejection(RejectCode.QUALITY, refused)
    box = content_box(*rgb.size, rules.image_size_px)
    content = _resized(rgb, (box.width, box.height))
    return Normalised(
        png=_letterboxed(content, box, rules.image_size_px),
        thumbnail=_thumbnail(rgb, content, rules.thumbnail_px),
        content=box,
        width_px=size[0],
        height_px=size[1],
        image_format=name,
        pixel_sha256=pixel_digest(rgb, size),
        animated=animated,
        quality=quality,
        flags=raised,
    )


def _has_more_frames(image: Image.Image) -> bool:
    """Whether there is a second one; the first is good even if what follows it is broken."""
    try:
        return bool(getattr(image, "is_animated", False))
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - a reader raises whatever the next frame leads it to
        return False


def _too_many(size: tuple[int, int], rules: PictureRules) -> bool:
    return size[0] * size[1] > rules.max_pixels


def _refusal(size: tuple[int, int], rules: PictureRules) -> Rejection:
    width, height = size
    return Rejection(
        RejectCode.TOO_MANY_PIXELS,
        f"{width} x {height} pixels are more than {rules.max_pixels}; upload a smaller copy",
    )


def _letterboxed(content: Image.Image, box: Box, side_px: int) -> bytes:
    square = Image.new("RGB", (side_px, side_px))
    square.paste(content, (box.left, box.top))
    sink = io.BytesIO()
    square.save(sink, "PNG", **PNG_OPTIONS)
    return sink.getvalue()


def _thumbnail(rgb: Image.Image, content: Image.Image, side_px: int) -> bytes:
    size = fit(*rgb.size, side_px) if max(rgb.size) > side_px else rgb.size
    shrunk = side_px * THUMBNAIL_MARGIN <= max(content.size) < max(rgb.size)
    sink = io.BytesIO()
    if shrunk:
        # A third of Lanczos' time; in a picture of this size nobody sees the difference.
        content.resize(size, Image.Resampling.HAMMING).save(sink, "WEBP", **WEBP_OPTIONS)
    else:
        _resized(rgb, size).save(sink, "WEBP", **WEBP_OPTIONS)
    return sink.getvalue()


def _resized(rgb: Image.Image, size: tuple[int, int]) -> Image.Image:
    if rgb.size == size:
        plain = rgb.copy()
    else:
        plain = rgb.resize(size, Image.Resampling.LANCZOS, reducing_gap=REDUCING_GAP)
    plain.info.clear()  # ICC, EXIF and comments must not travel into what is served
    return plain
