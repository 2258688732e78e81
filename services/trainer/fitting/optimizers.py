"""Keras' optimizers with a learning rate for each variable and a decay that keeps to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from contracts.training import TrainOptions

MOMENTUM = 0.9


class _PerVariable:
    """Goes before an optimizer class of Keras whose updates are proportional to the learning rate.

    The rate is scaled and not the gradient: Adam divides by the gradient's own size, so that a smaller
    gradient would take the same steps. ``shares`` are by variable path, 1 where none is given; ``decay`` is
    the decoupled weight decay (Loshchilov & Hutter, 2019) of kernels: biases and batch norms, which have
    one dimension, do not decay. Models are saved without their optimizer, so there is no config.
    """

    def __init__(self, shares: Mapping[str, float], decay: float, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._share_of, self._decay = dict(shares), decay
        self._shares: tuple[float, ...] = ()

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Also note each variable's rate, by its index."""
        self._shares = tuple(self._share_of.get(variable.path, 1.0) for variable in variables)
        super().build(variables)  # type: ignore[misc]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Keras' step at the variable's own rate, after its decay."""
        rate = learning_rate * self._shares[self._get_variable_index(variable)]  # type: ignore[attr-defined]
        if self._decay and len(variable.shape) > 1:
            shrink = ops.cast(rate * self._decay, variable.dtype)
            self.assign_sub(variable, ops.multiply(variable, shrink))  # type: ignore[attr-defined]
        super().update_step(gradient, variable, rate)  # type: ignore[misc]


class _Adam(_PerVariable, keras.optimizers.Adam):  # type: ignore[misc]
    """See _PerVariable."""


class _Sgd(_PerVariable, keras.optimizers.SGD):  # type: ignore[misc]
    """See _PerVariable."""


def optimizer_of(options: TrainOptions, shares: Mapping[str, float]) -> keras.optimizers.Optimizer:
    """The optimizer that ``options`` ask for; ``weight_decay`` is of ``adamw`` and ``sgd``."""
    arguments = {"learning_rate": options.learning_rate, "name": options.optimizer}
    if options.optimizer == "sgd":
        return _Sgd(shares, options.weight_decay, momentum=MOMENTUM, nesterov=True, **arguments)
    return _Adam(shares, options.weight_decay if options.optimizer == "adamw" else 0.0, **arguments)
