"""The first layers of every network: pixels in, prepared as its weights are used to."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers

from services.networks.names import IMAGE_LAYER

BATCH_NORM_MOMENTUM = 0.9
"""Keras' default 0.99 needs thousands of steps before the averages mean anything: 250 steps scored 0.124
with it and 0.965 with 0.9 (measured); libraries here are small."""


def pixels_of(image_size_px: int) -> keras.KerasTensor:
    """The input: uint8-range RGB [N, S, S, 3]."""
    return keras.Input((image_size_px, image_size_px, 3), name=IMAGE_LAYER)


def scaled(
    pixels: keras.KerasTensor, scale: float | Sequence[float], offset: float | Sequence[float]
) -> keras.KerasTensor:
    """``pixels * scale + offset``, float32 whatever the compute policy; numbers or one for each channel."""
    return layers.Rescaling(scale, offset=offset, dtype="float32", name="rescale")(pixels)
