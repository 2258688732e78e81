"""Grad-CAM: where in a picture a network sees a class.

R. Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization, ICCV
2017, equations 1 and 2. Gradients need a backend; only ``_pulled`` knows which one it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from services.networks.errors import NetworkRefused
from services.networks.names import SCORES_LAYER

SMALLEST_MAP_PX = 5
"""The last map of fewer pixels a side says too little of where; an earlier one is taken when there is one."""
OPACITY = 0.5
EPSILON = 1e-12

Heat = NDArray[np.float32]


def heat_of(model: keras.Model, pixels: NDArray[np.uint8], class_index: int) -> Heat:
    """How much each place speaks for the class, 0..1 [S, S], of uint8 pixels [S, S, 3]; zeros for nowhere.

    Raises:
        NetworkRefused: the network has no map to look at, or not this class.
    """
    classes = int(model.output_shape[-1])
    if not 0 <= class_index < classes:
        raise NetworkRefused(
            f"class {class_index} is none of the {classes} classes 0 to {classes - 1}", "name one of these"
        )
    seen = keras.Model(model.inputs[0], [_map_layer(model).output, _evidence(model)])
    maps, pulls = _pulled(seen, pixels[None].astype(np.float32), class_index)
    weights = pulls.mean(axis=(0, 1))
    heat = np.maximum((maps * weights).sum(axis=-1), 0.0)
    highest = float(heat.max())
    heat = heat / highest if highest > EPSILON else np.zeros_like(heat)
    side = pixels.shape[0]
    large = keras.ops.image.resize(heat[None, ..., None], (side, side), interpolation="bilinear")
    return np.clip(np.asarray(keras.ops.convert_to_numpy(large), np.float32)[0, ..., 0], 0.0, 1.0)


def overlay(pixels: NDArray[np.uint8], heat: Heat) -> NDArray[np.uint8]:
    """The picture [S, S, 3] under its heat: untouched where cold, over yellow to red where hot."""
    share = heat[..., None]
    # Red rises first, then green falls: no hue is told apart by people who mix up red and green alone.
    colour = np.concatenate([np.ones_like(share), 1.0 - share, np.zeros_like(share)], axis=-1) * 255.0
    mixed = pixels * (1.0 - OPACITY * share) + colour * OPACITY * share
    painted: NDArray[np.uint8] = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
    return painted


def _map_layer(model: keras.Model) -> layers.Layer:
    """The last layer whose map has a useful size, or the last that has a map at all."""
    maps = [layer for layer in _flat(model) if len(layer.output.shape) == 4]
    if not maps:
        raise NetworkRefused(f"network {model.name!r} has no map of the picture", "take a convolutional one")
    large = [layer for layer in maps if min(layer.output.shape[1:3]) >= SMALLEST_MAP_PX]
    return (large or maps)[-1]


def _flat(model: keras.Model) -> Iterator[layers.Layer]:
    """Layers that look at something, in their order; the input and what only scales it look at nothing."""
    for layer in model.layers:
        if not isinstance(layer, layers.InputLayer | layers.Rescaling | layers.Normalization):
            output = getattr(layer, "output", None)
            if hasattr(output, "shape"):
                yield layer


def _evidence(model: keras.Model) -> Any:
    """What softmax is given for each class: where it is certain, the scores have no gradient left."""
    scores = model.get_layer(SCORES_LAYER) if SCORES_LAYER in {one.name for one in model.layers} else None
    if not isinstance(scores, layers.Dense):
        return keras.ops.log(model.outputs[0] + EPSILON)
    kernel = keras.ops.convert_to_tensor(scores.kernel)
    evidence = keras.ops.matmul(keras.ops.cast(scores.input, "float32"), kernel)
    return evidence if scores.bias is None else evidence + keras.ops.convert_to_tensor(scores.bias)


def _pulled(
    seen: keras.Model, batch: NDArray[np.float32], class_index: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The map [h, w, F] of the one picture, and the gradient of the class's evidence by it."""
    if keras.backend.backend() != "tensorflow":
        raise NetworkRefused(
            f"gradients are taken by TensorFlow and the backend is {keras.backend.backend()}",
            "set KERAS_BACKEND=tensorflow",
        )
    import tensorflow as tf  # noqa: PLC0415 - of no use to other backends

    pixels = tf.constant(batch)
    with tf.GradientTape() as tape:
        tape.watch(pixels)  # so that a network whose weights are held still is recorded too
        maps, evidence = seen(pixels, training=False)
        target = evidence[0, class_index]
    pulls = tape.gradient(target, maps)
    return maps[0].numpy(), np.zeros(maps.shape[1:], np.float32) if pulls is None else pulls[0].numpy()
