"""Networks by name. Each maps uint8-range pixels [N, S, S, 3] to softmax scores [N, classes]."""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import layers

from services.trainer.domain.errors import TrainingError

SCORES_LAYER = "scores"
"""Name of every network's output layer: fine-tuning drops the layer of this name."""

# Keras' default 0.99 needs thousands of steps before the averages mean anything: 250 steps
# scored 0.124 with it and 0.965 with 0.9 (measured); libraries here are small.
BATCH_NORM_MOMENTUM = 0.9

# Pooling goes on while 3 px or more a side are left: strokes of a digit still have a place there.
SMALLEST_MAP_PX = 3

# Up to this size a picture is looked at pixel by pixel; larger ones have redundant neighbours.
LARGEST_WHOLE_PX = 64

FIRST_FILTERS = 16
MOST_FILTERS = 128
# Little: runs on digits with 0.2 and 0.3 left more right answers under 95 % confidence.
DROPOUT_SHARE = 0.1


def small_cnn(image_size_px: int, classes: int) -> keras.Model:
    """Blocks of 3x3 convolutions with a pooling between them, as many as the input size allows.

    28 px gives 4 blocks (28, 14, 7, 3 px), 299 px gives 6; filters double from 16 to at most 128.
    The first block, whose maps are large, and the last, whose maps are small, have one convolution;
    over 64 px the first has stride 2, which costs a fourth.
    """
    pixels = keras.Input((image_size_px, image_size_px, 3), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="rescale")(pixels)
    stride = 2 if image_size_px > LARGEST_WHOLE_PX else 1
    x = _convolve(x, FIRST_FILTERS, "block1a", stride)
    size, filters, block = -(-image_size_px // stride), FIRST_FILTERS, 1
    while size // 2 >= SMALLEST_MAP_PX:
        if block > 1:
            x = _convolve(x, filters, f"block{block}a")
            x = _convolve(x, filters, f"block{block}b")
        x = layers.MaxPooling2D(2, name=f"block{block}_pool")(x)
        size, filters, block = size // 2, min(2 * filters, MOST_FILTERS), block + 1
    if block > 1:
        x = _convolve(x, filters, f"block{block}a")
    x = layers.GlobalAveragePooling2D(name="features")(x)
    x = layers.Dropout(DROPOUT_SHARE, name="dropout")(x)
    return keras.Model(pixels, scores_of(x, classes), name="small_cnn")


def _convolve(x: keras.KerasTensor, filters: int, name: str, stride: int = 1) -> keras.KerasTensor:
    x = layers.Conv2D(filters, 3, stride, padding="same", use_bias=False, name=f"{name}_conv")(x)
    x = layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, name=f"{name}_norm")(x)
    return layers.Activation("relu", name=f"{name}_relu")(x)


def scores_of(features: keras.KerasTensor, classes: int) -> keras.KerasTensor:
    """The output layer: softmax over ``classes``, float32 whatever the compute policy."""
    return layers.Dense(classes, activation="softmax", dtype="float32", name=SCORES_LAYER)(features)


NETWORKS: dict[str, Callable[[int, int], keras.Model]] = {"small_cnn": small_cnn}


def build(network: str, image_size_px: int, classes: int) -> keras.Model:
    """A network with random weights.

    Raises:
        TrainingError: no network has that name.
    """
    if network not in NETWORKS:
        raise TrainingError(
            f"network {network!r} is not known to the trainer",
            f"set options.network to one of: {', '.join(sorted(NETWORKS))}",
        )
    return NETWORKS[network](image_size_px, classes)


def replace_output(base: keras.Model, classes: int) -> keras.Model:
    """``base`` without its output layer, under a new one with random weights; all weights train."""
    features = base.get_layer(SCORES_LAYER).input
    model = keras.Model(base.inputs, scores_of(features, classes), name=base.name)
    model.trainable = True
    return model
