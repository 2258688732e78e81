"""What a LiteRT file says and how fast it is, beside others in the same run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from services.trainer.fitting.feeding import Examples, in_order

BATCH_IMAGES = 256
"""Prepared at a time; a LiteRT file scores them one by one."""
ROUNDS = 9
"""Each times every variant for a while in turn: what else the machine does meets all of them alike."""
ROUND_S = 0.15
ROUND_IMAGES_MOST = 500

Scores = NDArray[np.float32]


@dataclass(frozen=True)
class Measured:
    """One variant on the measured images."""

    scores: Scores
    images_per_s: float


class LiteModel:
    """A LiteRT file, ready to score one image at a time, as a device would."""

    def __init__(self, content: bytes, threads: int) -> None:
        self._interpreter = tf.lite.Interpreter(model_content=content, num_threads=threads)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]

    def scores(self, image: NDArray[np.uint8]) -> Scores:
        """Softmax scores [classes] of pixels [S, S, 3]."""
        self._interpreter.set_tensor(self._input, image[None])
        self._interpreter.invoke()
        answer: Scores = self._interpreter.get_tensor(self._output)[0]
        return answer


def measure(files: Mapping[str, bytes], images: Examples, threads: int) -> dict[str, Measured]:
    """Scores and speed of each LiteRT file by name; the speed is the median of rounds taken in turn."""
    models = {name: LiteModel(content, threads) for name, content in files.items()}
    scores: dict[str, list[Scores]] = {name: [] for name in models}
    for part in in_order(images, BATCH_IMAGES):
        for name, model in models.items():
            scores[name].extend(model.scores(image) for image in part.images)
    sample = images.pixels(np.arange(min(len(images), ROUND_IMAGES_MOST)))
    rates: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(ROUNDS):
        for name, model in models.items():
            rates[name].append(_rate(model, sample))
    return {name: Measured(np.stack(scores[name]), median(rates[name])) for name in models}


def _rate(model: LiteModel, sample: NDArray[np.uint8]) -> float:
    started, done = time.perf_counter(), 0
    while (spent := time.perf_counter() - started) < ROUND_S or done == 0:
        model.scores(sample[done % len(sample)])
        done += 1
    return done / spent


def accuracy_of(scores: NDArray[Any], classes: NDArray[np.int64]) -> float:
    """Share of images whose first answer is right."""
    return float((scores.argmax(axis=1) == classes).mean())


def agreement_of(scores: NDArray[Any], others: NDArray[Any]) -> float:
    """Share of images with the same first answer."""
    return float((scores.argmax(axis=1) == others.argmax(axis=1)).mean())
