"""Magnitude pruning: the smallest weights become 0, step by step, while the rest learns on.

A mask on Keras 3; tensorflow-model-optimization refuses Keras 3 models. The schedule is that of Zhu
and Gupta, "To prune, or not to prune" (2017): fast at first, slow near the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from contracts.training import TrainOptions
from services.networks.layers import leaves, let_learn
from services.networks.output import SCORES_LAYER
from services.trainer.domain.errors import TrainingError
from services.trainer.fitting.feeding import Examples, Feed

RISE_SHARE = 0.6
"""Of all steps, in which the share of zeros rises; the others let the rest settle."""
UPDATES = 30
"""Masks drawn anew while it rises: a sort of all weights each."""
LATE_RATE = 0.3
"""Of the run's learning rate, falling to 0 by a cosine: the model is trained already."""


@dataclass(frozen=True)
class Pruned:
    """What is 0 in the end."""

    zeros: int
    prunable: int
    weights: int
    """Of the whole model."""

    @property
    def share(self) -> float:
        """Of the weights that may be pruned."""
        return self.zeros / self.prunable


def prunable_kernels(model: keras.Model) -> list[Any]:
    """Kernels of convolutions and dense layers, but the first, depthwise ones and the output layer's.

    Those are small, and every weight of theirs counts: all of them together are a few per cent.
    """
    found = [
        layer.kernel
        for layer in leaves(model)
        if isinstance(layer, layers.Conv2D | layers.Dense) and layer.name != SCORES_LAYER
    ]
    return found[1:]


def share_at(step: int, steps: int, share: float) -> float:
    """Share of zeros after ``step`` of ``steps``: cubic, full after RISE_SHARE of them."""
    done = min(1.0, step / max(1.0, steps * RISE_SHARE))
    return float(share * (1 - (1 - done) ** 3))


def prune(model: keras.Model, train: Examples, options: TrainOptions, share: float, epochs: int) -> Pruned:
    """Set ``share`` of each prunable kernel to 0, in place, and fine-tune the rest for ``epochs``.

    Raises:
        TrainingError: the network has no kernel that may be pruned.
    """
    kernels = prunable_kernels(model)
    if not kernels:
        raise TrainingError(f"network {model.name!r} has no kernels to prune", "set options.prune_share to 0")
    let_learn(model)  # it may have been saved with layers held still, which could not make up for the zeros
    batch = min(options.batch_size, len(train))
    steps = epochs * (len(train) // batch)
    rate = keras.optimizers.schedules.CosineDecay(options.learning_rate * LATE_RATE, steps)
    model.compile(optimizer=keras.optimizers.Adam(rate), loss=keras.losses.SparseCategoricalCrossentropy())
    every = max(1, int(steps * RISE_SHARE) // UPDATES)
    masks = [ops.ones_like(kernel) for kernel in kernels]
    done = 0
    for epoch in range(1, epochs + 1):
        for part in Feed(train, options, epoch, batch):
            model.train_on_batch(part.images, part.classes)
            done += 1
            if done % every == 0 or done == steps:
                masks = [_mask(kernel, share_at(done, steps, share)) for kernel in kernels]
            # After each step: momentum moves a weight whose gradient is cut off, too.
            for kernel, mask in zip(kernels, masks, strict=True):
                kernel.assign(kernel * mask)
    return _counted(model, kernels)


def _mask(kernel: Any, share: float) -> Any:
    sizes = np.abs(ops.convert_to_numpy(kernel)).ravel()
    zeros = round(share * sizes.size)
    mask = np.ones(sizes.size, np.float32)
    # By rank, not by value: equal weights would fall together. What is 0 stays among the smallest.
    mask[np.argsort(sizes, kind="stable")[:zeros]] = 0
    return ops.reshape(ops.convert_to_tensor(mask), kernel.shape)


def _counted(model: keras.Model, kernels: list[Any]) -> Pruned:
    values = [ops.convert_to_numpy(kernel) for kernel in kernels]
    return Pruned(
        zeros=int(sum((value == 0).sum() for value in values)),
        prunable=int(sum(value.size for value in values)),
        weights=int(model.count_params()),
    )
