"""A network whose answer is known to rest on one thing: bright squares make ``spot``, anything else ``plain``.

``python -m tests.support.spot_model PATH SIZE_PX`` writes it as ``.keras``, in a process of its own.
"""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIZE_PX, SPOT_PX = 28, 6
CLASSES = ("plain", "spot")
SPOT = CLASSES.index("spot")
DARK, BRIGHT = 60, 250


def spotted(top: int, left: int, seed: int = 0) -> NDArray[np.uint8]:
    """Dark noise with a bright square."""
    noise = np.random.default_rng(seed).integers(0, DARK, (SIZE_PX, SIZE_PX, 1)).astype(np.uint8)
    pixels = noise.repeat(3, axis=2)
    pixels[top : top + SPOT_PX, left : left + SPOT_PX] = BRIGHT
    return pixels


def near(top: int, left: int, margin_px: int) -> NDArray[np.bool_]:
    """Where the square is, and a margin [S, S]."""
    found = np.zeros((SIZE_PX, SIZE_PX), np.bool_)
    first, last = slice(max(0, top - margin_px), top + SPOT_PX + margin_px), max(0, left - margin_px)
    found[first, last : left + SPOT_PX + margin_px] = True
    return found


def spot_network(size_px: int) -> Any:
    """The network: 3 x 3 means brighter than half, counted."""
    import keras
    from keras import layers

    pixels = keras.Input((size_px, size_px, 3), name="image")
    bright = layers.Conv2D(1, 3, padding="same", activation="relu", name="bright")
    features = layers.GlobalAveragePooling2D(name="features")(bright(layers.Rescaling(1 / 255)(pixels)))
    scores = layers.Dense(2, activation="softmax", name="scores")
    model = keras.Model(pixels, scores(features), name="spots")
    bright.set_weights([np.full((3, 3, 3, 1), 1 / 27), np.array([-0.5])])
    # A square of 6 px fills 0.046 of 28 px and leaves about 0.013 behind: 99.9 % spot; nothing leaves 5 %.
    scores.set_weights([np.array([[0.0, 800.0]]), np.array([3.0, 0.0])])
    return model


@cache
def spot_archive(size_px: int = SIZE_PX) -> bytes:
    """The archive."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        subprocess.run(
            [sys.executable, "-m", __name__, str(path), str(size_px)], check=True, capture_output=True
        )
        return path.read_bytes()


if __name__ == "__main__":
    spot_network(int(sys.argv[2])).save(Path(sys.argv[1]))
