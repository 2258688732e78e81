"""Slight random flips, turns, zooms and shifts (domain.md section 4), one affine warp an image."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

# Batches are prepared by threads side by side already; OpenCV's own would only get in their way.
cv2.setNumThreads(0)

SMALL_SHARE = 0.5
"""A picture that fills less of its frame is small as it is. A letterboxed 16:9 picture fills 0.56."""

BLACK = 8
"""Bars are 0; what a camera calls black is a little above, and so are bars that once were a JPEG."""


@dataclass(frozen=True)
class Augmentation:
    """Ranges: degrees either way, zoom factor 1 -/+ ``zoom_share``, shift as a share of the side.

    A picture that fills less than SMALL_SHARE of its frame is zoomed in at most, never out.
    """

    flip: bool
    rotate_degrees: float
    zoom_share: float
    shift_share: float

    def apply(self, images: Pixels, random: np.random.Generator) -> Pixels:
        """New images [N, S, S, 3]; what comes in from outside the frame is black, like the letterbox."""
        if not (self.flip or self.rotate_degrees or self.zoom_share or self.shift_share):
            return images.copy()
        size = images.shape[1]
        small = filled_share(images) < SMALL_SHARE if self.zoom_share else np.zeros(len(images), np.bool_)
        out = np.empty_like(images)
        for index, matrix in enumerate(self._inverse_maps(small, size, random)):
            # OpenCV, because it lets other threads run: Pillow warped 240 images/s of 299 px however many
            # threads asked, OpenCV 1,009 on each of two cores.
            cv2.warpAffine(
                images[index],
                matrix,
                (size, size),
                dst=out[index],
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_CONSTANT,
            )
        return out

    def _inverse_maps(
        self, small: NDArray[np.bool_], size: int, random: np.random.Generator
    ) -> NDArray[np.float64]:
        """Matrices [N, 2, 3]: output pixel (x, y) takes the input at matrix . (x, y, 1).

        The numbers drawn depend on N alone, so that a picture's bars change nobody else's luck.
        """
        count = len(small)
        turn = np.deg2rad(random.uniform(-self.rotate_degrees, self.rotate_degrees, count))
        zoom = random.uniform(1 - self.zoom_share, 1 + self.zoom_share, count)
        zoom = np.where(small, 1 + np.abs(zoom - 1), zoom)
        shift = random.uniform(-self.shift_share, self.shift_share, (2, count)) * size
        mirror = np.where(random.random(count) < 0.5, -1.0, 1.0) if self.flip else np.ones(count)
        cos, sin = np.cos(turn) / zoom, np.sin(turn) / zoom
        a, b, d, e = mirror * cos, mirror * sin, -sin, cos
        # The first pixel's centre is 0, so the middle of the frame, which stays, is half a pixel less.
        middle = (size - 1) / 2
        c = middle - a * middle - b * middle + shift[0]
        f = middle - d * middle - e * middle + shift[1]
        return np.stack([a, b, c, d, e, f], axis=1).reshape(count, 2, 3)


def filled_share(images: Pixels) -> NDArray[np.float64]:
    """Share [N] of the frame inside the black bars around each of ``images`` [N, S, S, 3].

    1 for a picture that is black all over: it has no bars to measure.
    """
    count, size = images.shape[:2]
    heights = _extent(images.reshape(count, size, -1).max(axis=2) > BLACK)
    widths = _extent(images.max(axis=1).max(axis=2) > BLACK)
    share = heights * widths / size**2
    return np.where(share > 0, share, 1.0)


def _extent(lit: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Length [N] from the first to the last true of each row [N, S]; 0 where none is."""
    first, last = lit.argmax(axis=1), lit.shape[1] - lit[:, ::-1].argmax(axis=1)
    return np.where(lit.any(axis=1), last - first, 0).astype(np.float64)
