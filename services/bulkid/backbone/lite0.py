"""EfficientNet-lite0 up to pooled features to compare pictures by, with the weights of ImageNet folded."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from services.networks.efficientnet_lite0 import (
    BATCH_NORM_EPSILON,
    Convolution,
    bare,
    kernel_of,
    lay,
    norm_of,
)
from services.networks.lite0_weights import Weights

SIDE_PX = 224

POOLING_POWER = 3.0
"""Features are generalised means of the last map. At 1 false pair in 100,000 a power of 3 finds 97 % of
crops of 5 to 15 %, the plain mean 87 % (docs/decisions/0010)."""


def build(weights: Weights) -> keras.Model:
    """Pixels 0..255 [N, 224, 224, 3] to features [N, 1280], not normalised.

    Raises:
        KeyError, ValueError: the weights are another network's.
    """

    def folded(x: keras.KerasTensor, what: Convolution) -> keras.KerasTensor:
        """The batch norm is in the convolution: half the layers, the same numbers."""
        gain, offset, mean, variance = norm_of(weights, what.name)
        factor = gain / np.sqrt(variance + BATCH_NORM_EPSILON)
        by_output = factor[:, None] if what.filters is None else factor
        layer = bare(what, use_bias=True)
        x = layer(x)
        layer.set_weights([kernel_of(weights, what.name) * by_output, offset - mean * factor])
        return layers.ReLU(max_value=6.0, name=f"{what.name}_relu6")(x) if what.relu else x

    pixels = keras.Input((SIDE_PX, SIDE_PX, 3), name="pixels")
    powers = layers.GlobalAveragePooling2D(name="pool")(keras.ops.power(lay(pixels, folded), POOLING_POWER))
    return keras.Model(pixels, keras.ops.power(powers, 1 / POOLING_POWER), name="efficientnet_lite0")
