"""Pixels of a data set out of its shards."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from contracts.manifests import DatasetRow
from services.runtime.objectstore import ObjectStore
from services.runtime.shards import fetch_images
from services.trainer.domain.errors import TrainingError
from services.trainer.fitting.augmentation import Pixels
from services.trainer.fitting.loop import Examples

MEMORY_SHARE = 0.6
"""Of the free memory, what decoded pixels may take; the network and its gradients need the rest."""


def load_examples(store: ObjectStore, rows: Sequence[DatasetRow], image_size_px: int) -> Examples:
    """uint8 RGB [N, S, S, 3] and class indices [N], in the order of ``rows``.

    Raises:
        MemberDamaged: a shard does not hold the image that the manifest names.
        TrainingError: an image is no RGB picture of that size, or they do not fit into memory.
    """
    _check_memory(len(rows), image_size_px)
    images = np.empty((len(rows), image_size_px, image_size_px, 3), np.uint8)
    position = {row.image_id: number for number, row in enumerate(rows)}
    for row, png in fetch_images(store, [row.model_dump(mode="json") for row in rows]):
        images[position[row["image_id"]]] = decode(png, image_size_px, row["image_id"])
    return Examples(images, np.array([row.class_index for row in rows], np.int64))


def decode(png: bytes, image_size_px: int, image_id: str) -> Pixels:
    """Pixels [S, S, 3] of one normalised image.

    Raises:
        TrainingError: it is not of that size, or does not decode.
    """
    remedy = "normalise the library again and pack a new snapshot"
    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as picture:
            # The size stands in the header: a bomb is refused before it is decoded.
            if picture.size != (image_size_px, image_size_px):
                width, height = picture.size
                raise TrainingError(
                    f"image {image_id} is {width} x {height} px, the snapshot says {image_size_px} px", remedy
                )
            return np.asarray(picture.convert("RGB"))
    except (UnidentifiedImageError, OSError, ValueError) as error:
        raise TrainingError(f"image {image_id} does not decode: {error}", remedy) from error


def _check_memory(count: int, image_size_px: int) -> None:
    needed = count * image_size_px * image_size_px * 3
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") + _reclaimable_bytes()
    if needed > free * MEMORY_SHARE:
        raise TrainingError(
            f"{count} images of {image_size_px} px need {needed / 2**30:.1f} GiB decoded, "
            f"and {free / 2**30:.1f} GiB are free",
            "lower rules.maximum_per_class, or train on a machine with more memory",
        )


def _reclaimable_bytes() -> int:
    """File cache that the kernel gives back when asked; 0 where /proc does not say."""
    try:
        with Path("/proc/meminfo").open(encoding="ascii") as file:
            sizes = {line.split(":")[0]: int(line.split()[1]) for line in file}
    except OSError:
        return 0
    return max(0, sizes.get("MemAvailable", 0) - sizes.get("MemFree", 0)) * 1024
