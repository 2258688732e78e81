"""EfficientNet-lite0 up to its pooled features, in Keras alone, with the weights of ImageNet."""

from __future__ import annotations

from typing import NamedTuple

import keras
import numpy as np
from keras import layers

from services.bulkid.backbone.weights import Weights

SIDE_PX = 224

MEAN, SPREAD = 127.0, 128.0
"""Levels 0..255 become about -1..1, as the weights were trained; ImageNet's usual means cost 8 points
of top-1 accuracy (measured on 160 birds and mammals)."""
BATCH_NORM_EPSILON = 1e-3
POOLING_POWER = 3.0
"""Features are generalised means of the last map. At 1 false pair in 100,000 a power of 3 finds 97 % of
crops of 5 to 15 %, the plain mean 87 % (docs/decisions/0010)."""


class Stage(NamedTuple):
    """Blocks alike; only the first has the stride."""

    kernel: int
    stride: int
    expansion: int
    filters: int
    blocks: int


STAGES = (
    Stage(3, 1, 1, 16, 1),
    Stage(3, 2, 6, 24, 2),
    Stage(5, 2, 6, 40, 2),
    Stage(3, 2, 6, 80, 3),
    Stage(5, 1, 6, 112, 3),
    Stage(5, 2, 6, 192, 4),
    Stage(3, 1, 6, 320, 1),
)


def build(weights: Weights) -> keras.Model:
    """Pixels 0..255 [N, 224, 224, 3] to features [N, 1280], not normalised.

    "Same" padding is TensorFlow's (more at the end), as the weights were trained.

    Raises:
        KeyError, ValueError: the weights are another network's.
    """
    network = _Network(weights)
    pixels = keras.Input((SIDE_PX, SIDE_PX, 3), name="pixels")
    x = layers.Rescaling(1 / SPREAD, offset=-MEAN / SPREAD, name="rescale")(pixels)
    x = network.convolve(x, "_conv_stem", "_bn0", stride=2)
    number = 0
    for stage in STAGES:
        for first in (True,) + (False,) * (stage.blocks - 1):
            x = network.block(x, f"_blocks.{number}", stage, first=first)
            number += 1
    x = network.convolve(x, "_conv_head", "_bn1")
    powers = layers.GlobalAveragePooling2D(name="pool")(keras.ops.power(x, POOLING_POWER))
    return keras.Model(pixels, keras.ops.power(powers, 1 / POOLING_POWER), name="efficientnet_lite0")


class _Network:
    """Lays convolutions with their batch norms folded in: half the layers, the same numbers."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights

    def block(self, x: keras.KerasTensor, name: str, stage: Stage, *, first: bool) -> keras.KerasTensor:
        """Expand, filter each channel, project; with a way round where the shapes allow it."""
        before, stride = x, stage.stride if first else 1
        if stage.expansion != 1:
            x = self.convolve(x, f"{name}._expand_conv", f"{name}._bn0")
        x = self.convolve(x, f"{name}._depthwise_conv", f"{name}._bn1", stride=stride, depthwise=True)
        x = self.convolve(x, f"{name}._project_conv", f"{name}._bn2", relu=False)
        return x if first else layers.Add(name=f"{name}._add")([before, x])

    def convolve(
        self,
        x: keras.KerasTensor,
        name: str,
        norm: str,
        *,
        stride: int = 1,
        depthwise: bool = False,
        relu: bool = True,
    ) -> keras.KerasTensor:
        """A convolution, its batch norm and ReLU6 (or none)."""
        stored = self._weights[f"{name}.weight"]  # [out, in, k, k]; depthwise [channels, 1, k, k]
        gain = self._weights[f"{norm}.weight"] / np.sqrt(
            self._weights[f"{norm}.running_var"] + BATCH_NORM_EPSILON
        )
        kernel = np.transpose(stored * gain[:, None, None, None], (2, 3, 0, 1) if depthwise else (2, 3, 1, 0))
        bias = self._weights[f"{norm}.bias"] - self._weights[f"{norm}.running_mean"] * gain
        side = stored.shape[-1]
        layer: layers.Layer = (
            layers.DepthwiseConv2D(side, stride, padding="same", name=name)
            if depthwise
            else layers.Conv2D(len(stored), side, stride, padding="same", name=name)
        )
        x = layer(x)
        layer.set_weights([kernel, bias])
        return layers.ReLU(max_value=6.0, name=f"{name}_relu6")(x) if relu else x
