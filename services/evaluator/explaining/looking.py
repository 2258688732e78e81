"""Asks a network about a picture; imported by the child alone, for it loads Keras."""

from __future__ import annotations

import keras
import numpy as np

from services.evaluator.domain.explaining.findings import Method
from services.evaluator.domain.explaining.parts import Scores, Seen, by_parts
from services.evaluator.domain.explaining.segments import Floats, Pixels
from services.networks.grad_cam import heat_of

BATCH_PIXELS = 1_600_000
"""Pixels of a batch: 31 pictures of 224 px, 17 of 299."""
BATCH_PICTURES = 128


def look(model: keras.Model, pixels: Pixels, class_index: int, method: Method) -> Seen:
    """Explain the score of a class of one picture, uint8 [S, S, 3].

    Raises:
        NetworkRefused: Grad-CAM finds no map in the network.
    """
    if method == Method.GRAD_CAM:
        return Seen(heat_of(model, pixels, class_index).astype(np.float64), passes=1)
    return by_parts(scores_of(model), pixels, class_index, method)


def scores_of(model: keras.Model) -> Scores:
    """The model on many pictures, a batch at a time."""

    def scores(pictures: Pixels) -> Floats:
        batch = max(1, min(BATCH_PICTURES, BATCH_PIXELS // pictures.shape[1] ** 2))
        parts = [
            np.asarray(model.predict_on_batch(pictures[first : first + batch].astype(np.float32)), np.float64)
            for first in range(0, len(pictures), batch)
        ]
        return np.concatenate(parts)

    return scores
