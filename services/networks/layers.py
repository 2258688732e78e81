"""Which layers learn, and how fast."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import keras

from contracts.training import LearningRates
from services.networks.names import SCORES_LAYER


def rates_of(model: keras.Model, rates: LearningRates) -> dict[str, float]:
    """The learning rate of every weight that can train, by its variable's path, as a share of the run's.

    The longest beginning of a layer's name in ``rates.layers`` decides; else the output layer learns at its
    full rate, the first ``rates.frozen_share`` of the backbone's layers with weights not at all, and the
    rest at ``rates.backbone``.
    """
    weighted = [layer for layer in leaves(model) if layer.weights]
    backbone = [layer for layer in weighted if layer.name != SCORES_LAYER]
    frozen = {id(layer) for layer in backbone[: round(rates.frozen_share * len(backbone))]}
    found = {}
    for layer in weighted:
        plain = 1.0 if layer.name == SCORES_LAYER else 0.0 if id(layer) in frozen else rates.backbone
        fitting = [start for start in rates.layers if layer.name.startswith(start)]
        rate = rates.layers[max(fitting, key=len)] if fitting else plain
        found.update({variable.path: rate for variable in _trained(layer)})
    return found


def let_learn(model: keras.Model) -> None:
    """Take all layers into training; ``model.trainable = True`` does nothing where it is True already."""
    model.trainable = True
    for layer in leaves(model):
        layer.trainable = True


def hold_still(model: keras.Model, rates: Mapping[str, float]) -> None:
    """Take layers whose rates (by variable path) are all 0 out of training, and the others in.

    They cost no gradient, and their batch norms keep their averages. Compile after this.
    """
    for layer in leaves(model):
        paths = [variable.path for variable in layer.weights if variable.path in rates]
        layer.trainable = not paths or any(rates[path] > 0 for path in paths)


def freeze_batch_norms(model: keras.Model) -> None:
    """Batch norms keep their averages, gains and offsets, and use them in training too."""
    for layer in leaves(model):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def _trained(layer: keras.layers.Layer) -> list[keras.Variable]:
    """Variables that train when the layer does, whether it does now or not."""
    now, layer.trainable = layer.trainable, True
    variables: list[keras.Variable] = layer.trainable_variables
    layer.trainable = now
    return variables


def leaves(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Layers from the input on; of a model inside the model, its own."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from leaves(layer)
        else:
            yield layer
