"""The layers on top: features, dropout, softmax scores; and the weights that are regularised."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np
from keras import layers

from services.networks.errors import NetworkRefused
from services.networks.layers import let_learn
from services.networks.names import DROPOUT_LAYER, FEATURES_LAYER, SCORES_LAYER

__all__ = ["DROPOUT_LAYER", "FEATURES_LAYER", "SCORES_LAYER", "regularise", "replace_output", "with_output"]


def with_output(
    backbone: keras.Model, classes: int, *, dropout: float = 0.0, l1: float = 0.0, l2: float = 0.0
) -> keras.Model:
    """``backbone`` (pixels to features [N, F]) under a new output layer, [N, classes] float32."""
    x = backbone.output
    if dropout > 0:
        x = layers.Dropout(dropout, name=DROPOUT_LAYER)(x)
    # float32 whatever the compute policy: half precision tells 0.9995 from 1 no more.
    scores = layers.Dense(classes, activation="softmax", dtype="float32", name=SCORES_LAYER)(x)
    model = keras.Model(backbone.inputs[0], scores, name=backbone.name)
    let_learn(model)  # a base may have been saved with layers held still
    regularise(model, l1, l2)
    return model


def replace_output(
    base: keras.Model,
    classes: int,
    *,
    kept: Mapping[int, int] | None = None,
    dropout: float | None = None,
    l1: float = 0.0,
    l2: float = 0.0,
) -> keras.Model:
    """``base`` without its output layer, under a new one with random weights; all weights train.

    ``kept`` names the base's class index whose row goes to a new class index. ``dropout`` None leaves the
    share that the base has. The new model shares the other layers, so ``base`` learns with it.

    Raises:
        NetworkRefused: the base has no output layer of ours, or not the rows to be kept.
    """
    old = _layer(base, SCORES_LAYER)
    if old is None or not isinstance(old, layers.Dense):
        raise NetworkRefused(
            f"the base {base.name!r} has no Dense layer {SCORES_LAYER!r}",
            "start from scratch or another base",
        )
    before, features = _layer(base, DROPOUT_LAYER), _layer(base, FEATURES_LAYER)
    if dropout is None:
        dropout = before.rate if isinstance(before, layers.Dropout) else 0.0
    given = old.input if features is None else features.output
    body = keras.Model(base.inputs[0], given, name=base.name)
    model = with_output(body, classes, dropout=dropout, l1=l1, l2=l2)
    if kept:
        _keep_rows(old, model.get_layer(SCORES_LAYER), kept)
    return model


def regularise(model: keras.Model, l1: float, l2: float) -> None:
    """Add ``l1`` and ``l2`` of every kernel to the loss; biases and batch norms are left alone.

    The variables carry it, not the layers: a saved model does not, and its successor chooses anew.
    """
    penalty = keras.regularizers.L1L2(l1, l2) if l1 or l2 else None
    for variable in model.trainable_variables:
        variable.regularizer = penalty if variable.name.endswith("kernel") else None


def _layer(model: keras.Model, name: str) -> layers.Layer | None:
    return next((layer for layer in model.layers if layer.name == name), None)


def _keep_rows(old: layers.Dense, new: layers.Dense, kept: Mapping[int, int]) -> None:
    old_weights, new_weights = old.get_weights(), new.get_weights()
    rows, base_rows = np.array(list(kept.keys()), np.int64), np.array(list(kept.values()), np.int64)
    for indices, weights, said in ((rows, new_weights, "new"), (base_rows, old_weights, "base")):
        classes = weights[0].shape[1]
        if indices.min() < 0 or indices.max() >= classes:
            raise NetworkRefused(
                f"rows {sorted({int(indices.min()), int(indices.max())})} are to be kept, the {said} output "
                f"layer has rows 0 to {classes - 1}",
                "set options.keep_output_rows to false",
            )
    for target, source in zip(new_weights, old_weights, strict=True):
        target[..., rows] = source[..., base_rows]
    new.set_weights(new_weights)
