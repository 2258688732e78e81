"""The geometry of fitting a picture into a square: never stretched, never cropped (domain.md 1)."""

from __future__ import annotations

from contracts.values import Box


def fit(width_px: int, height_px: int, side_px: int) -> tuple[int, int]:
    """The (width, height) with the same aspect ratio whose longer side is ``side_px``.

    The shorter side is rounded to whole pixels and is at least 1.
    """
    longer = max(width_px, height_px)
    return (
        max(1, (width_px * side_px * 2 + longer) // (2 * longer)),
        max(1, (height_px * side_px * 2 + longer) // (2 * longer)),
    )


def content_box(width_px: int, height_px: int, side_px: int) -> Box:
    """Where the picture lies, centred, in a square of ``side_px``."""
    width, height = fit(width_px, height_px, side_px)
    return Box(left=(side_px - width) // 2, top=(side_px - height) // 2, width=width, height=height)
