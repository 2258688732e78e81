"""Pictures on the page: small, inlined, out of the very shards that the model was scored on."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

from services.runtime.objectstore import ObjectDamaged, ObjectMissing
from services.runtime.shards import MemberDamaged, RangeReader, Row, fetch_images

SIDE_PX = 160
QUALITY = 72
MOST_BYTES = 1_200_000
"""Of all pictures together, as they stand in the page."""
TINY_PX = 64
"""Drawn with hard pixels: smoothed, a digit of 28 px is a cloud."""


@dataclass(frozen=True)
class Picture:
    """An image as a data address, or why there is none."""

    address: str | None
    tiny: bool = False
    missing: str = ""


def pictures(store: RangeReader, rows: Sequence[Row], most_bytes: int = MOST_BYTES) -> dict[str, Picture]:
    """By image id, in the order of ``rows``; what is damaged, or too much for the page, is told instead."""
    found: dict[str, Picture] = {}
    left = most_bytes
    for row in rows:
        image_id = row["image_id"]
        if image_id in found:
            continue
        picture = _picture(store, row)
        size = len(picture.address or "")
        if size > left:
            picture = Picture(None, missing="left out: the page would grow too large")
        else:
            left -= size
        found[image_id] = picture
    return found


def of_images(store: RangeReader, rows: Iterable[Row], image_ids: Iterable[str]) -> Mapping[str, Picture]:
    """Of these images, the first first; ids that no row has are left out."""
    by_id = {row["image_id"]: row for row in rows}
    return pictures(store, [by_id[one] for one in image_ids if one in by_id])


def _picture(store: RangeReader, row: Row) -> Picture:
    try:
        ((_, data),) = fetch_images(store, [row])
    except (ObjectMissing, ObjectDamaged, MemberDamaged):
        return Picture(None, missing="missing from the snapshot")
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as opened:
            image = opened.convert("RGB")
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError):
        return Picture(None, missing="not readable")
    tiny = max(image.size) <= TINY_PX
    image.thumbnail((SIDE_PX, SIDE_PX))
    held = io.BytesIO()
    image.save(held, "webp", quality=QUALITY, lossless=tiny)
    return Picture(f"data:image/webp;base64,{base64.b64encode(held.getvalue()).decode()}", tiny)
