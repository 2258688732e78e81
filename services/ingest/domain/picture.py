"""What decoding takes and gives."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.values import Box, Flag, Measure, QualityFlag, RejectCode
from services.ingest.domain.quality.flags import DEFAULT_LIMITS, QualityLimits


@dataclass(frozen=True)
class PictureRules:
    """How pictures are normalised; ``max_pixels`` is checked on the header, before any decoding.

    A picture with one of ``reject_flags`` is refused.
    """

    image_size_px: int
    thumbnail_px: int
    max_pixels: int
    quality: QualityLimits = DEFAULT_LIMITS
    reject_flags: tuple[QualityFlag, ...] = ()


@dataclass(frozen=True)
class Normalised:
    """A picture ready for the library.

    ``png`` is ``image_size_px`` square; ``width_px`` and ``height_px`` are the upright source's.
    ``pixel_sha256`` is the identity of the upright sRGB pixels, whatever file format carried them.
    ``animated``: the file holds more frames or pages than the first, which alone was taken.
    """

    png: bytes
    thumbnail: bytes
    content: Box
    width_px: int
    height_px: int
    image_format: str
    pixel_sha256: str
    animated: bool = False
    quality: tuple[Measure, ...] = ()
    flags: tuple[Flag, ...] = ()


@dataclass(frozen=True)
class Rejection:
    """Why bytes did not become a picture, for a person."""

    code: RejectCode
    detail: str
