"""Small pictures of colours, and a network that is traced in a blink: what the training loop is tried on."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers

from contracts.training import TrainOptions
from services.networks.output import with_output
from services.trainer.fitting.determinism import make_deterministic
from services.trainer.fitting.feeding import InMemory

SIDE_PX = 8

PLAIN = TrainOptions(
    epochs=6, batch_size=8, learning_rate=3e-3, flip=False, rotate_degrees=0, zoom_share=0, seed=3
)


def asked(**changes: Any) -> TrainOptions:
    """PLAIN with ``changes``."""
    return TrainOptions.model_validate(PLAIN.model_dump() | changes)


def colours(count: int, seed: int = 0, classes: int = 3) -> InMemory:
    """Noisy images of ``seed``, each of the class of its strongest channel."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    images = random.integers(0, 120, (count, SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
    images[np.arange(count), :, :, labels] += 100
    return InMemory(images, labels.astype(np.int64))


def nothing() -> InMemory:
    """No images."""
    return InMemory(np.empty((0, SIDE_PX, SIDE_PX, 3), np.uint8), np.empty(0, np.int64))


def tiny(seed: int = 3, dropout: float = 0.3, l1: float = 0.0, l2: float = 0.0) -> keras.Model:
    """Two convolutions with batch norms, dropout, three classes; the weights are those of ``seed``."""
    make_deterministic(seed)
    pixels = keras.Input((SIDE_PX, SIDE_PX, 3), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="rescale", dtype="float32")(pixels)
    for name, filters, stride in (("one", 6, 2), ("two", 8, 1)):
        x = layers.Conv2D(filters, 3, stride, use_bias=False, name=f"{name}_conv")(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
        x = layers.Activation("relu", name=f"{name}_relu")(x)
    x = layers.GlobalAveragePooling2D(name="features")(x)
    return with_output(keras.Model(pixels, x, name="tiny"), 3, dropout=dropout, l1=l1, l2=l2)


def same(one: list[np.ndarray[Any, Any]], two: list[np.ndarray[Any, Any]]) -> bool:
    """Whether all bytes agree."""
    return len(one) == len(two) and all(a.tobytes() == b.tobytes() for a, b in zip(one, two, strict=True))
