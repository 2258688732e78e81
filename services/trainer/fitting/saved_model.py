"""A SavedModel for TensorFlow Serving: tensor and PNG signatures, class names in the answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras
import tensorflow as tf

from services.trainer.fitting.warmup import write_warmup

NAMED_CLASSES = 5
"""Best classes named in an answer; all scores are in it too."""


def write_saved_model(model: keras.Model, classes: Sequence[str], image_size_px: int, folder: Path) -> None:
    """Write the signatures, each a batch of images -> ``scores`` [N, classes], ``classes`` and
    ``top_scores`` [N, 5] (names and scores of the best, best first), and requests to warm them up.

    ``serving_default`` takes ``image`` uint8 [N, S, S, 3], ``serving_float`` the same as float32 of
    the same range, ``serving_bytes`` takes ``image_bytes``: PNG files of S x S pixels.
    """
    size = image_size_px
    names = tf.constant(list(classes), tf.string)
    best = min(NAMED_CLASSES, len(classes))

    def answer(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        scores = model(pixels, training=False)
        top_scores, top = tf.math.top_k(scores, best)
        return {"scores": scores, "classes": tf.gather(names, top), "top_scores": top_scores}

    def from_uint8(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return answer(tf.cast(image, tf.float32))

    def from_bytes(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        def decode(png: tf.Tensor) -> tf.Tensor:
            return tf.ensure_shape(tf.io.decode_png(png, channels=3), (size, size, 3))

        shape = tf.TensorSpec((size, size, 3), tf.uint8)
        return from_uint8(tf.map_fn(decode, image_bytes, fn_output_signature=shape))

    batch = (None, size, size, 3)
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serving_default", from_uint8, [tf.TensorSpec(batch, tf.uint8, name="image")])
    archive.add_endpoint("serving_float", answer, [tf.TensorSpec(batch, tf.float32, name="image")])
    archive.add_endpoint("serving_bytes", from_bytes, [tf.TensorSpec((None,), tf.string, name="image_bytes")])
    archive.write_out(str(folder), verbose=False)
    write_warmup(folder, size)
