"""LiteRT files of a model: float32 for comparison, and smaller ones. TensorFlow's own converter.

Each takes one image, uint8 [1, S, S, 3], and gives softmax scores float32 [1, classes].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from contracts.manifests import DatasetRow
from contracts.values import Side
from services.trainer.domain.errors import TrainingError

Kind = Literal["litert", "float16", "dynamic-range", "int8"]
CALIBRATION_IMAGES = 100
"""Beyond that the ranges of activations hardly move (TensorFlow's guide advises 100 to 500)."""

REMEDIES: dict[Kind, str] = {
    "litert": "this network has no LiteRT form: train another one",
    "float16": "set options.float16 to false",
    "dynamic-range": "set options.dynamic_range to false",
    "int8": "set options.int8 to false",
}


def check_backend() -> None:
    """LiteRT and SavedModel are TensorFlow's.

    Raises:
        TrainingError: Keras runs on another backend here.
    """
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise TrainingError(
            f"Keras runs on {backend!r} here, and LiteRT files and SavedModels are made by TensorFlow alone",
            "set KERAS_BACKEND=tensorflow for this process: a .keras model of any backend loads there",
        )


class _Weights(tf.Module):  # type: ignore[misc]
    """What the converter makes constants of: it finds TensorFlow's variables, not those of Keras 3."""

    def __init__(self, model: keras.Model) -> None:
        super().__init__()
        self.kept = [variable.value for variable in model.variables]


def to_litert(model: keras.Model, kind: Kind, calibration: NDArray[np.uint8] | None = None) -> bytes:
    """The LiteRT file of ``model``, which takes pixels [N, S, S, 3].

    Args:
        calibration: images [n, S, S, 3] that show int8 the ranges of activations.

    Raises:
        TrainingError: TensorFlow has no such form of this network.
    """
    try:
        return bytes(_converter(model, kind, calibration).convert())
    except Exception as error:
        # The converter's own error is a direct child of Exception, in a module that is not public.
        if not isinstance(error, RuntimeError | ValueError) and type(error).__name__ != "ConverterError":
            raise
        raise TrainingError(
            f"TensorFlow cannot convert the model to {kind}: {str(error)[:500]}", REMEDIES[kind]
        ) from error


def _converter(model: keras.Model, kind: Kind, calibration: NDArray[np.uint8] | None) -> Any:
    size = model.inputs[0].shape[1]
    whole = kind == "int8"

    # int8 quantises its input itself; the others get the cast inside, so that all take uint8.
    image = tf.TensorSpec((1, size, size, 3), tf.float32 if whole else tf.uint8)
    scores = tf.function(lambda image: model(tf.cast(image, tf.float32), training=False))
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [scores.get_concrete_function(image)], _Weights(model)
    )
    if kind != "litert":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if whole:
        assert calibration is not None
        images = calibration
        converter.representative_dataset = lambda: ([image[None].astype(np.float32)] for image in images)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8
    return converter


def calibration_rows(rows: Sequence[DatasetRow]) -> list[DatasetRow]:
    """Training images to calibrate with: the classes in turn, in the order of their ids."""
    trained = sorted((row for row in rows if row.side is Side.TRAIN), key=lambda row: row.image_id)
    turn: dict[int, int] = {}
    keyed = []
    for row in trained:
        turn[row.class_index] = turn.get(row.class_index, -1) + 1
        keyed.append((turn[row.class_index], row.class_index, row))
    return [row for _, _, row in sorted(keyed, key=lambda item: item[:2])][:CALIBRATION_IMAGES]
