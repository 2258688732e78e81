"""What a model says of PNG files; the only module here that imports TensorFlow, to decode in the graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from services.networks import archive

BATCH_PIXELS = 4_000_000
"""Pixels of a batch: 44 images at 299 px keep Inception-v4's largest maps under 1 GB."""
BATCH_IMAGES = 256
"""Larger batches of small images gain nothing (measured at 28 px)."""


class Inference:
    """PNG bytes of normalised pictures in, a vector for each out; preprocessing is inside the model."""

    def __init__(
        self,
        model: keras.Model,
        image_size_px: int,
        *,
        batch: int | None = None,
        prepare: Callable[[Any], Any] | None = None,
    ) -> None:
        """``prepare`` makes one picture, uint8 [S, S, 3], what ``model`` takes; None where it takes that."""
        self._model = model
        self.batch = batch or max(1, min(BATCH_IMAGES, BATCH_PIXELS // image_size_px**2))
        self.dimensions = int(model.output_shape[-1])
        self._step = self._compiled(image_size_px, prepare)

    def answers(self, pngs: Iterable[bytes]) -> Iterator[NDArray[np.float32]]:
        """Vectors, ``batch`` at a time (the last ones fewer), in order: float32 [n, dimensions]."""
        waiting = iter(pngs)
        while chunk := list(islice(waiting, self.batch)):
            yield self._step(tf.constant(chunk)).numpy()

    def _compiled(self, size: int, prepare: Callable[[Any], Any] | None) -> Any:
        model = self._model
        taken = tf.TensorSpec(model.inputs[0].shape[1:], tf.float32 if prepare else tf.uint8)

        def decode(png: Any) -> Any:
            pixels = tf.ensure_shape(tf.io.decode_png(png, channels=3), (size, size, 3))
            return tf.ensure_shape(tf.cast(prepare(pixels) if prepare else pixels, taken.dtype), taken.shape)

        def step(pngs: Any) -> Any:
            pixels = tf.map_fn(decode, pngs, fn_output_signature=taken)
            return tf.cast(model(tf.cast(pixels, model.inputs[0].dtype), training=False), tf.float32)

        # One graph for decoding and model: an eager call costs 2.6 times as much at batch 250.
        return tf.function(step, input_signature=[tf.TensorSpec([None], tf.string)])


def of_file(path: Path, image_size_px: int, classes: int) -> Inference:
    """The model at ``path``, whose answers are softmax scores [n, classes].

    Raises:
        ModelRefused: it brings code, is damaged or maps other shapes.
    """
    return Inference(archive.load(path, image_size_px=image_size_px, classes=classes), image_size_px)
