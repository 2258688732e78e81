"""What is measured of a picture: numbers that hardly depend on its resolution."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from contracts.values import Measure
from services.ingest.domain.letterbox import fit
from services.ingest.domain.quality.borders import inside_borders
from services.ingest.domain.quality.sharpness import smoothness

WORKING_PX = 256
"""Longer side, near what the network sees: detail that is gone there does not count."""
REDUCING_GAP = 2.0
CLIPPED_LEVEL = 248  # luma; JPEG writes a blown 255 as a little less
DARK_LEVEL, BRIGHT_LEVEL = 60, 180  # of 255: a silhouette, and the light behind it


def measure(rgb: Image.Image, source_size: tuple[int, int], image_size_px: int) -> tuple[Measure, ...]:
    """Measures of an upright picture, before it is letterboxed; sorted by name.

    ``source_size`` is the (width, height) in pixels that the file holds: ``rgb`` may be a draft of it.
    What a picture is too small or too plain for is left out.
    """
    whole = _working_luma(rgb)
    luma = inside_borders(whole)
    found = {
        "aspect_ratio": max(source_size) / min(source_size),
        "border_share": 1 - luma.size / whole.size,
        "enlargement": image_size_px / max(source_size),
        "smoothness": smoothness(luma),
        **_light(luma),
    }
    return tuple(
        Measure(name=name, value=round(value, 4))
        for name, value in sorted(found.items())
        if value is not None
    )


def _working_luma(rgb: Image.Image) -> NDArray[np.uint8]:
    """Rec. 601 luma (height, width), reduced but never enlarged."""
    if max(rgb.size) > WORKING_PX:
        size = fit(*rgb.size, WORKING_PX)
        grey = rgb.convert("L") if max(rgb.size) <= WORKING_PX * 2 * REDUCING_GAP else rgb
        rgb = grey.resize(size, Image.Resampling.HAMMING, reducing_gap=REDUCING_GAP)
    return np.asarray(rgb.convert("L"))


def _light(luma: NDArray[np.uint8]) -> dict[str, float]:
    darkest, bright, brightest = _percentiles(luma, (0.01, 0.95, 0.99))
    height, width = luma.shape
    centre = luma[height // 4 : height - height // 4, width // 4 : width - width // 4]
    around = _share_of_frame(luma, height // 6, width // 6)
    return {
        "back_light": min(float((centre < DARK_LEVEL).mean()), around),
        "bright_level": bright,
        "clipped_share": float((centre >= CLIPPED_LEVEL).mean()),
        "luma_range": brightest - darkest,
    }


def _percentiles(luma: NDArray[np.uint8], shares: tuple[float, ...]) -> list[float]:
    """The level below or at which each share of the pixels lies; by counting, not sorting."""
    below = np.cumsum(np.bincount(luma.ravel(), minlength=256))
    return [float(np.searchsorted(below, share * luma.size)) for share in shares]


def _share_of_frame(luma: NDArray[np.uint8], margin_rows: int, margin_columns: int) -> float:
    """Share of bright pixels in the frame of that width around the picture's middle."""
    bright = luma > BRIGHT_LEVEL
    inner = bright[margin_rows : luma.shape[0] - margin_rows, margin_columns : luma.shape[1] - margin_columns]
    pixels = luma.size - inner.size
    return float(bright.sum() - inner.sum()) / pixels if pixels else 0.0
