"""Paints over a picture what each place adds to a score: yellow to red for the class, blue against it.

The picture itself turns grey: a red bird would hide what is painted red.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.evaluator.domain.explaining.segments import Floats, Pixels

OPACITY = 0.6
SHOWN_PX = 280
"""A smaller picture is enlarged by a whole factor, so that a person sees its pixels."""
FAINTEST = 0.01
"""Effects of less than one percentage point are no more than noise: they are not stretched to full colour."""

LUMINANCE = np.array([0.299, 0.587, 0.114])


def painted(pixels: Pixels, effects: Floats) -> Pixels:
    """The picture [S, S, 3] under the effects [S, S] of its places, enlarged."""
    strength = effects / max(float(np.abs(effects).max()), FAINTEST)
    hot, cold = np.maximum(strength, 0.0)[..., None], np.maximum(-strength, 0.0)[..., None]
    # Red rises first, then green falls; blue beside them is told apart whatever colours an eye mixes up.
    warm = np.concatenate([np.ones_like(hot), 1.0 - hot, np.zeros_like(hot)], axis=-1) * 255.0
    blue = np.array([0.0, 90.0, 255.0])
    grey = (pixels @ LUMINANCE)[..., None]
    mixed = grey * (1.0 - OPACITY * (hot + cold)) + OPACITY * (warm * hot + blue * cold)
    return enlarged(np.clip(np.rint(mixed), 0, 255).astype(np.uint8))


def enlarged(pixels: Pixels) -> Pixels:
    """Every pixel as a square, as large as SHOWN_PX allows."""
    factor = max(1, SHOWN_PX // pixels.shape[0])
    large: NDArray[np.uint8] = pixels.repeat(factor, axis=0).repeat(factor, axis=1)
    return large
