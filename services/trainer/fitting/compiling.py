"""From options to a model that is ready for its first step: what learns, by which loss, how precisely."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from contracts.training import LearningRates, TrainOptions
from services.networks.layers import freeze_batch_norms, hold_still, leaves, let_learn, rates_of
from services.networks.output import SCORES_LAYER
from services.trainer.domain.errors import TrainingError
from services.trainer.fitting.determinism import always_compiled, half_precision, steps_by_itself
from services.trainer.fitting.optimizers import optimizer_of

HEAD_ALONE = LearningRates(backbone=0.0)


class Trained(keras.Model):  # type: ignore[misc]
    """The network while it trains, by its inputs and outputs: it shares all layers with the caller's model.

    Loss and accuracy add up on the device over an epoch. Keras sets them back and fetches them in each
    step, which costs 1 ms of a CPU and lets a GPU run empty.
    """

    _xla = False

    def compile_for(self, options: TrainOptions, head_alone: bool) -> None:
        """Get ready with a fresh optimizer whose variables are there, so that they can be restored.

        ``head_alone`` lets the output layer learn and nothing else.

        Raises:
            TrainingError: nothing would learn.
        """
        optimizer = optimizer_of(options, _what_learns(self, options, head_alone))
        if options.mixed_precision and half_precision() == "float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        optimizer.build(self.trainable_variables)
        self._xla = options.xla or always_compiled()
        self.accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
        self.compile(
            optimizer=optimizer,
            loss=_loss(options, self.output_shape[-1]),
            metrics=[self.accuracy],
            auto_scale_loss=False,
        )
        self.make_train_function()

    @property
    def jit_compile(self) -> bool:
        """Whether XLA compiles. Keras silently leaves it off where operations are deterministic."""
        return self._xla

    @jit_compile.setter
    def jit_compile(self, value: object) -> None:
        """Not by ``compile``, nor by Keras' guess."""

    def take_step(
        self, images: NDArray[np.uint8], classes: NDArray[np.int64], weights: NDArray[np.float32] | None
    ) -> None:
        """One step of the optimizer on images [n, S, S, 3]; ``weights`` [n] are what each counts for."""
        if steps_by_itself():
            self.train_function(iter([(images, classes, weights)]))
        else:
            self.train_on_batch(images, classes, weights)

    def reset_metrics(self) -> None:
        """Nothing: ``train_on_batch`` calls it before each step."""

    def start_epoch(self) -> None:
        """Loss and accuracy begin at nothing."""
        super().reset_metrics()

    @property
    def running(self) -> tuple[keras.metrics.Metric, keras.metrics.Metric]:
        """Means of loss and accuracy since ``start_epoch``."""
        return self.metrics[0], self.accuracy


def _what_learns(model: keras.Model, options: TrainOptions, head_alone: bool) -> dict[str, float]:
    """Take the layers that do not learn out of training; the learning rates of the others' variables."""
    let_learn(model)
    shares = rates_of(model, HEAD_ALONE if head_alone else options.rates)
    hold_still(model, shares)
    if options.rates.freeze_batch_norm:
        freeze_batch_norms(model)
    if not any(shares.get(variable.path, 1.0) > 0 for variable in model.trainable_variables):
        raise TrainingError(
            f"no layer would learn with options.rates {options.rates.model_dump(mode='json')}",
            "raise options.rates.backbone, or a rate in options.rates.layers",
        )
    return shares


def _loss(options: TrainOptions, classes: int) -> Any:
    if not options.label_smoothing:
        return keras.losses.SparseCategoricalCrossentropy()

    def smoothed(true: Any, scores: Any) -> Any:
        """Loss [n] of each image: its weight comes after. Keras smooths no labels that are indices."""
        one_hot = ops.one_hot(ops.cast(true, "int32"), classes)
        return keras.losses.categorical_crossentropy(one_hot, scores, label_smoothing=options.label_smoothing)

    return smoothed


def class_weights(
    options: TrainOptions, classes: NDArray[np.int64], count: int
) -> NDArray[np.float32] | None:
    """What an image of each class [count] counts for: on the average 1; None when all count the same."""
    if options.class_weights == "none":
        return None
    images = np.bincount(classes, minlength=count)
    present = np.count_nonzero(images)
    return np.where(images > 0, len(classes) / (present * np.maximum(images, 1)), 0.0).astype(np.float32)


@contextlib.contextmanager
def precision(model: keras.Model, options: TrainOptions) -> Iterator[None]:
    """Compute in half precision inside, if asked; outside, the model is what it was before.

    Weights, scores and the scaling of pixels stay float32.
    """
    if not options.mixed_precision:
        yield
        return
    before = [(layer, layer.dtype_policy) for layer in leaves(model) if not _stays_whole(layer)]
    try:
        for layer, _ in before:
            layer.dtype_policy = f"mixed_{half_precision()}"
        yield
    finally:
        for layer, policy in before:
            layer.dtype_policy = policy


def _stays_whole(layer: keras.layers.Layer) -> bool:
    kinds = (keras.layers.Rescaling, keras.layers.Normalization, keras.layers.InputLayer)
    return layer.name == SCORES_LAYER or isinstance(layer, kinds)
