"""Slight random flips, turns, zooms and shifts (domain.md section 4), one affine warp an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Augmentation:
    """Ranges: degrees either way, zoom factor 1 -/+ ``zoom_share``, shift as a share of the side."""

    flip: bool
    rotate_degrees: float
    zoom_share: float
    shift_share: float

    def apply(self, images: Pixels, random: np.random.Generator) -> Pixels:
        """New images [N, S, S, 3]; what comes in from outside the frame is black, like the letterbox."""
        count, size = images.shape[0], images.shape[1]
        matrices = self._inverse_maps(count, size, random)
        out = np.empty_like(images)
        for index, matrix in enumerate(matrices):
            picture = Image.fromarray(images[index])
            warped = picture.transform(
                (size, size), Image.Transform.AFFINE, matrix.tolist(), Image.Resampling.BILINEAR
            )
            out[index] = np.asarray(warped)
        return out

    def _inverse_maps(self, count: int, size: int, random: np.random.Generator) -> NDArray[np.float64]:
        """Rows (a, b, c, d, e, f): output pixel (x, y) takes input (ax + by + c, dx + ey + f)."""
        turn = np.deg2rad(random.uniform(-self.rotate_degrees, self.rotate_degrees, count))
        zoom = random.uniform(1 - self.zoom_share, 1 + self.zoom_share, count)
        shift = random.uniform(-self.shift_share, self.shift_share, (2, count)) * size
        mirror = np.where(random.random(count) < 0.5, -1.0, 1.0) if self.flip else np.ones(count)
        cos, sin = np.cos(turn) / zoom, np.sin(turn) / zoom
        a, b, d, e = mirror * cos, mirror * sin, -sin, cos
        # Pillow maps pixel centres itself, so the fixed point is the middle of the frame.
        middle = size / 2
        c = middle - a * middle - b * middle + shift[0]
        f = middle - d * middle - e * middle + shift[1]
        return np.stack([a, b, c, d, e, f], axis=1)
