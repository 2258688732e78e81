"""What turns pictures into similarity vectors; TensorFlow, used in the child alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from services.bulkid.backbone import lite0
from services.bulkid.domain.features import unit_length
from services.networks import archive
from services.networks.inference import Inference
from services.networks.lite0_weights import pretrained_weights
from services.runtime.model_archive import ModelRefused

PRETRAINED_BATCH = 32
"""Measured: 16 to 32 images a batch are the fastest on one and on two cores."""


class Encoder:
    """PNG bytes of normalised pictures in, vectors of length 1 out; of zeros where it sees nothing."""

    def __init__(self, features: Inference) -> None:
        self._features = features
        self.dimensions = features.dimensions

    def encode(self, pngs: Iterable[bytes]) -> Iterator[NDArray[np.float32]]:
        """Vectors [n, dimensions], a batch at a time, in order.

        Raises:
            FeaturesRefused: the network says something that is not finite.
        """
        return map(unit_length, self._features.answers(pngs))


def pretrained(image_size_px: int) -> Encoder:
    """The backbone, which sees the picture without its letterbox, pulled to a square.

    Raises:
        WeightsRefused: the package is not installed, or is another one.
    """
    network = lite0.build(pretrained_weights())
    return Encoder(Inference(network, image_size_px, batch=PRETRAINED_BATCH, prepare=_without_letterbox))


def of_model(path: Path, image_size_px: int) -> Encoder:
    """What the last Dense layer of a model is given; it sees pictures as it was trained, with their bars.

    Raises:
        ModelRefused: it brings code, is damaged, takes another size, or has no such layer.
    """
    model = archive.load(path, image_size_px=image_size_px)
    return Encoder(Inference(_penultimate(model), image_size_px))


def _penultimate(model: keras.Model) -> keras.Model:
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    if not dense:
        raise ModelRefused("the model has no Dense layer, so nothing tells its features from its scores")
    features = dense[-1].input
    if len(features.shape) != 2:  # images, features
        raise ModelRefused(f"the model's last Dense layer takes {features.shape}, no vector for each image")
    return keras.Model(model.input, features, name="features")


def _without_letterbox(pixels: Any) -> Any:
    """The picture inside the black bars, pulled to SIDE_PX a side.

    Bars lie on two opposite sides, centred, the second at most one pixel wider: what else is black belongs
    to the picture. Bars would be what all portrait pictures have in common.
    """
    filled = tf.reduce_any(pixels > 0, axis=2)
    (top, bottom), (left, right) = (_bars(tf.reduce_any(filled, axis=axis)) for axis in (1, 0))
    across = left + right > top + bottom
    none = tf.zeros_like(top)
    top, bottom = tf.where(across, none, top), tf.where(across, none, bottom)
    left, right = tf.where(across, left, none), tf.where(across, right, none)
    size = tf.shape(pixels)
    content = pixels[top : size[0] - bottom, left : size[1] - right]
    side = lite0.SIDE_PX
    resized = tf.image.resize(content, (side, side), tf.image.ResizeMethod.BICUBIC, antialias=True)
    return tf.clip_by_value(resized, 0.0, 255.0)


def _bars(filled: Any) -> tuple[Any, Any]:
    """Widths of the bars before and after, of one axis' lines [S]; 0 and 0 of a picture that is all black."""
    before = tf.argmax(filled, output_type=tf.int32)
    after = tf.argmax(tf.reverse(filled, [0]), output_type=tf.int32)
    bar = tf.minimum(before, after)
    return bar, tf.minimum(after, bar + 1)
