"""Which of two images to keep: what is suggested, and what people's choices mean for the order of images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from contracts.values import ImageId, UploadId


@dataclass(frozen=True)
class Worth:
    """What speaks for keeping an image; None where it was never measured."""

    image_id: ImageId
    upload_id: UploadId
    width_px: int | None
    height_px: int | None
    smoothness: float | None
    """Ingest's measure of blur: the lower the sharper."""


def suggested_keep(one: Worth, other: Worth) -> ImageId:
    """The one with more pixels, then the sharper, then the one that was first."""
    return min(one, other, key=_worse).image_id


def _worse(worth: Worth) -> tuple[int, float, UploadId, ImageId]:
    pixels = (worth.width_px or 0) * (worth.height_px or 0)
    smoothness = float("inf") if worth.smoothness is None else worth.smoothness
    return (-pixels, smoothness, worth.upload_id, worth.image_id)


def kept_tiers(choices: Iterable[tuple[ImageId, ImageId]]) -> dict[ImageId, int]:
    """How far below the top each kept image stands; ``choices`` are (kept, dropped), the newest first.

    An image kept over others and dropped for none is at 0. One that was kept over some and dropped for
    others comes after all that were kept over it, so that every dropped image ranks behind what it was
    dropped for. A choice that would close a circle with newer ones is left out.
    """
    dropped_for: dict[ImageId, list[ImageId]] = defaultdict(list)
    kept = set()
    for keep, dropped in choices:
        if not _stands_over(dropped, keep, dropped_for):
            dropped_for[dropped].append(keep)
            kept.add(keep)
    tiers: dict[ImageId, int] = {}
    for image_id in sorted(kept):
        _tier(image_id, dropped_for, tiers)
    return {image_id: tiers[image_id] for image_id in kept}


def _stands_over(image_id: ImageId, other: ImageId, dropped_for: Mapping[ImageId, list[ImageId]]) -> bool:
    """Whether ``other`` was dropped, by whatever steps, for ``image_id``."""
    waiting, seen = [other], set()
    while waiting:
        current = waiting.pop()
        if current == image_id:
            return True
        if current not in seen:
            seen.add(current)
            waiting.extend(dropped_for.get(current, ()))
    return False


def _tier(image_id: ImageId, dropped_for: Mapping[ImageId, list[ImageId]], tiers: dict[ImageId, int]) -> None:
    """Fill in the tier of the image and of all above it; a stack, for chains may be long."""
    waiting = [image_id]
    while waiting:
        current = waiting[-1]
        above = dropped_for.get(current, [])
        unknown = [keep for keep in above if keep not in tiers]
        if unknown:
            waiting.extend(unknown)
            continue
        tiers[current] = 1 + max((tiers[keep] for keep in above), default=-1)
        waiting.pop()
