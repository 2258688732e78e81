"""A network whose answers are known without TensorFlow: the class is the strongest colour.

``python -m tests.support.colour_model PATH SIZE_PX CLASSES`` writes it as ``.keras``; in a process
of its own, so that test processes stay small.
"""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

GAIN = 6.0
"""Logit of a colour at full brightness: pure red is red with 99.5 %."""


@cache
def colour_model(size_px: int, classes: int) -> bytes:
    """The archive; class ``i`` is channel ``i`` (red, green, blue), further classes get logit 0."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        arguments = [str(path), str(size_px), str(classes)]
        subprocess.run([sys.executable, "-m", __name__, *arguments], check=True, capture_output=True)
        return path.read_bytes()


def colour_scores(images: NDArray[np.uint8], classes: int) -> NDArray[np.float64]:
    """What the network says of images [N, S, S, 3], computed without it."""
    means = images.astype(np.float64).mean(axis=(1, 2)) / 255 * GAIN
    logits = np.concatenate([means, np.zeros((len(images), max(0, classes - 3)))], axis=1)[:, :classes]
    powers = np.exp(logits)
    scores: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return scores


def _write(path: Path, size_px: int, classes: int) -> None:
    import keras
    from keras import layers

    pixels = keras.Input((size_px, size_px, 3), name="image")
    pooled = layers.GlobalAveragePooling2D()(layers.Rescaling(1 / 255)(pixels))
    scores = layers.Dense(classes, activation="softmax", name="scores")
    model = keras.Model(pixels, scores(pooled))
    scores.set_weights([np.eye(3, classes) * GAIN, np.zeros(classes)])
    model.save(path)


if __name__ == "__main__":
    _write(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
