"""The only module of the evaluator that imports TensorFlow; used in the scoring child alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from services.runtime.model_archive import ModelRefused

BATCH_PIXELS = 4_000_000
"""Pixels of a batch: 44 images at 299 px keep Inception-v4's largest maps under 1 GB."""
BATCH_IMAGES = 256
"""Larger batches of small images gain nothing (measured at 28 px)."""


class Network:
    """A model loaded by digest: PNG bytes in, softmax scores out. Preprocessing is inside the model."""

    def __init__(self, path: Path, image_size_px: int, classes: int) -> None:
        """Load it; ``refuse_code`` has passed it.

        Raises:
            ModelRefused: it is damaged or maps other shapes.
        """
        try:
            self._model = keras.saving.load_model(path, compile=False, safe_mode=True)
        except (ValueError, TypeError, OSError, KeyError) as error:
            raise ModelRefused(f"Keras cannot load the model: {error}") from error
        shapes = (tuple(self._model.input_shape), tuple(self._model.output_shape))
        wanted = ((None, image_size_px, image_size_px, 3), (None, classes))
        if shapes != wanted:
            raise ModelRefused(f"the model maps {shapes[0]} to {shapes[1]}; wanted are {wanted}")
        self.batch = max(1, min(BATCH_IMAGES, BATCH_PIXELS // image_size_px**2))
        self._step = self._compiled(image_size_px)

    def predict(self, pngs: Iterable[bytes]) -> Iterator[NDArray[np.float32]]:
        """Scores, ``batch`` images at a time (the last one smaller), in order: float32 [n, classes]."""
        chunk: list[bytes] = []
        for png in pngs:
            chunk.append(png)
            if len(chunk) == self.batch:
                yield self._step(tf.constant(chunk)).numpy()
                chunk = []
        if chunk:
            yield self._step(tf.constant(chunk)).numpy()

    def _compiled(self, size: int) -> Any:
        model = self._model

        def decode(png: Any) -> Any:
            return tf.ensure_shape(tf.io.decode_png(png, channels=3), (size, size, 3))

        def step(pngs: Any) -> Any:
            pixels = tf.map_fn(decode, pngs, fn_output_signature=tf.TensorSpec((size, size, 3), tf.uint8))
            return tf.cast(model(tf.cast(pixels, model.inputs[0].dtype), training=False), tf.float32)

        # One graph for decoding and model: an eager call costs 2.6 times as much at batch 250.
        return tf.function(step, input_signature=[tf.TensorSpec([None], tf.string)])
