"""Scores of many images, in batches of one size, so that nothing is traced twice."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
from numpy.typing import NDArray

from services.trainer.fitting.feeding import Examples, in_order

MOST_IMAGES = 250
MOST_PIXELS = 4_000_000
"""Of a batch: 44 images of 299 px. Maps of a large network take some 50 times the room of its input."""


def batch_size(count: int, image_size_px: int) -> int:
    """Images scored at a time: ``count`` in batches as equal as can be, none too large for memory."""
    most = max(1, min(MOST_IMAGES, MOST_PIXELS // image_size_px**2))
    return -(-count // -(-count // most))


def predict(
    model: keras.Model, examples: Examples, looked_up: Callable[[], None] = lambda: None
) -> NDArray[np.float32]:
    """Scores [N, classes] of ``examples``; ``looked_up`` is called before each batch, and may raise."""
    if not len(examples):
        return np.empty((0, model.output_shape[-1]), np.float32)
    size = batch_size(len(examples), int(model.input_shape[1]))
    parts = []
    for batch in in_order(examples, size):
        looked_up()
        short = size - len(batch.images)
        images = np.pad(batch.images, ((0, short), (0, 0), (0, 0), (0, 0))) if short else batch.images
        parts.append(np.asarray(model.predict_on_batch(images))[: len(batch.images)])
    return np.concatenate(parts)


def score(
    model: keras.Model, examples: Examples, looked_up: Callable[[], None] = lambda: None
) -> tuple[float, float]:
    """Mean log loss and accuracy."""
    scores = predict(model, examples, looked_up).astype(np.float64)
    true = scores[np.arange(len(examples)), examples.classes]
    accuracy = float((scores.argmax(axis=1) == examples.classes).mean())
    return float(-np.log(np.clip(true, 1e-7, 1.0)).mean()), accuracy
