"""Networks by name: uint8-range pixels [N, S, S, 3] to softmax scores [N, classes] float32.

Preprocessing is inside, so that no reader of the model has to know it. Every network has an output layer
``scores`` and a layer ``features`` below it; batch norms are real ones, so that all weights train.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

import keras

from services.networks import applications, efficientnet_lite0, inception_v4, small_cnn
from services.networks.errors import NetworkRefused
from services.networks.names import FEATURES_LAYER, SCORES_LAYER
from services.networks.output import replace_output, with_output

__all__ = ["FEATURES_LAYER", "NAMES", "SCORES_LAYER", "NetworkRefused", "build", "replace_output"]


class _Recipe(NamedTuple):
    """How an own network is made: its backbone by image size, and its share of dropout."""

    random: Callable[[int], keras.Model]
    dropout: float
    pretrained: Callable[[int], keras.Model] | None = None


_OWN = {
    "efficientnet_lite0": _Recipe(
        efficientnet_lite0.backbone, efficientnet_lite0.DROPOUT_SHARE, efficientnet_lite0.pretrained
    ),
    "inception_v4": _Recipe(inception_v4.backbone, inception_v4.DROPOUT_SHARE),
    "small_cnn": _Recipe(small_cnn.backbone, small_cnn.DROPOUT_SHARE),
}

NAMES: tuple[str, ...] = tuple(sorted(_OWN))
"""Networks of this project; besides, any network of keras.applications goes by its class name."""


def build(
    network: str,
    image_size_px: int,
    classes: int,
    *,
    weights: str = "random",
    dropout: float | None = None,
    l1: float = 0.0,
    l2: float = 0.0,
    weights_folder: Path | None = None,
) -> keras.Model:
    """A network with ``weights`` ``random`` or of ``imagenet``; its output layer's are always random.

    ``dropout`` is the share of features dropped, None the network's own; ``l1`` and ``l2`` regularise all
    kernels. ``weights_folder`` may hold files of networks of keras.applications (applications.py).

    Raises:
        NetworkRefused: no network has that name or takes that size, or its weights cannot be had.
    """
    body, share = _backbone(network, image_size_px, weights, weights_folder)
    share = share if dropout is None else dropout
    return with_output(body, classes, dropout=share, l1=l1, l2=l2)


def _backbone(
    network: str, image_size_px: int, weights: str, weights_folder: Path | None
) -> tuple[keras.Model, float]:
    """Pixels to features, and the network's own share of dropout."""
    if network not in _OWN:
        if network not in applications.names():
            raise _unknown(network)
        if weights == "random":
            return applications.backbone(network, image_size_px), applications.DROPOUT_SHARE
        return applications.pretrained(network, image_size_px, weights_folder), applications.DROPOUT_SHARE
    recipe = _OWN[network]
    make = recipe.random if weights == "random" else recipe.pretrained
    if make is None:
        raise NetworkRefused(f"there are no {weights} weights of {network}", "set options.weights to random")
    return make(image_size_px), recipe.dropout


def _unknown(network: str) -> NetworkRefused:
    known = {name.lower(): name for name in (*NAMES, *applications.names())}
    near = [known[name] for name in get_close_matches(network.lower(), known)]
    return NetworkRefused(
        f"network {network!r} is not known",
        f"set options.network to one of: {', '.join(NAMES)}, or a network of keras.applications"
        + (f"; nearest: {', '.join(near)}" if near else ""),
    )
