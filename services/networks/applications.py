"""Networks of keras.applications by class name, with the preprocessing of their family inside.

Keras keeps preprocessing of most families in a function beside the network; here it is layers of the model,
none of them a Lambda, so that the saved model needs no code. Weights of ImageNet come from a file in the
folder of the settings, else from Keras' own download, which checks their digests.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from services.networks.errors import NetworkRefused
from services.networks.names import FEATURES_LAYER
from services.networks.pixels import BATCH_NORM_MOMENTUM, pixels_of, scaled

DROPOUT_SHARE = 0.2
"""EfficientNet-B0's; other families' top layers are for 1,000 classes and a million pictures."""

_MEANS, _SPREADS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_BLUE_GREEN_RED = (-103.939, -116.779, -123.68)


def _about_nought(pixels: keras.KerasTensor) -> keras.KerasTensor:
    return scaled(pixels, 1 / 127.5, -1.0)


def _by_channel(pixels: keras.KerasTensor) -> keras.KerasTensor:
    scale = [1 / (255 * spread) for spread in _SPREADS]
    return scaled(pixels, scale, [-mean / spread for mean, spread in zip(_MEANS, _SPREADS, strict=True)])


def _as_caffe(pixels: keras.KerasTensor) -> keras.KerasTensor:
    return scaled(keras.ops.flip(pixels, axis=-1), 1.0, list(_BLUE_GREEN_RED))


def _as_it_is(pixels: keras.KerasTensor) -> keras.KerasTensor:
    """The network prepares them itself."""
    return pixels


_PREPARED: dict[str, Callable[[keras.KerasTensor], keras.KerasTensor]] = {
    "convnext": _as_it_is,
    "densenet": _by_channel,
    "efficientnet": _as_it_is,
    "efficientnet_v2": _as_it_is,
    "inception_resnet_v2": _about_nought,
    "inception_v3": _about_nought,
    "mobilenet": _about_nought,
    "mobilenet_v2": _about_nought,
    "mobilenet_v3": _as_it_is,
    "nasnet": _about_nought,
    "resnet": _as_caffe,
    "resnet_v2": _about_nought,
    "vgg16": _as_caffe,
    "vgg19": _as_caffe,
    "xception": _about_nought,
}
"""By module of keras.applications."""


def names() -> tuple[str, ...]:
    """Class names that can be asked for."""
    found = inspect.getmembers(keras.applications, inspect.isfunction)
    return tuple(sorted(name for name, make in found if name[0].isupper() and _family(make) in _PREPARED))


def prepared(network: str, pixels: keras.KerasTensor) -> keras.KerasTensor:
    """Pixels 0..255 RGB as ``network`` takes them: what ``preprocess_input`` of its family makes of them."""
    return _PREPARED[_family(getattr(keras.applications, network))](pixels)


def backbone(network: str, image_size_px: int) -> keras.Model:
    """Pixels [N, S, S, 3] to features [N, F], with random weights.

    Raises:
        NetworkRefused: the size is too small for the network.
    """
    pixels = pixels_of(image_size_px)
    try:
        inner = getattr(keras.applications, network)(
            include_top=False,
            weights=None,
            input_tensor=prepared(network, pixels),
            input_shape=pixels.shape[1:],
            pooling="avg",
        )
    except ValueError as error:
        raise NetworkRefused(
            f"{network} cannot take pictures of {image_size_px} px: {_said(error)}",
            "set options.network to small_cnn, or pack a snapshot of larger pictures",
        ) from error
    for layer in inner.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = BATCH_NORM_MOMENTUM
    _normalise(network, inner)
    return keras.Model(pixels, layers.Identity(name=FEATURES_LAYER)(inner.output), name=inner.name)


def pretrained(network: str, image_size_px: int, folder: Path | None) -> keras.Model:
    """The same with the weights of ImageNet, of ``<network>.weights.h5`` or ``<network>*.h5`` in ``folder``.

    The first is as ``save_weights`` of Keras 3 writes it; Keras' own files are older, and go by the second.

    Raises:
        NetworkRefused: the size is too small, the file is another network's, or there is neither a file nor
            a way to Keras' download.
    """
    model = backbone(network, image_size_px)
    file = weights_file(network, folder)
    make = getattr(keras.applications, network)
    try:
        # At the size that the network is made for: some refuse their own weights at any other.
        source = make(include_top=False, weights="imagenet" if file is None else None, pooling="avg")
        if file is not None:
            source.load_weights(file)
    except Exception as error:  # Keras raises plain ones when a download fails
        raise _no_weights(network, folder, file, error) from error
    model.set_weights(source.get_weights())
    _normalise(network, model)
    return model


def weights_file(network: str, folder: Path | None) -> Path | None:
    """The file of the network's weights in ``folder``, that of the plainest name first."""
    if folder is None or not folder.is_dir():
        return None
    # A name that goes on with a letter or digit is another network's: ResNet50, ResNet50V2.
    fits = re.compile(rf"{re.escape(network)}(?![0-9a-z]).*\.h5", re.IGNORECASE)
    found = [path for path in folder.iterdir() if fits.fullmatch(path.name) and path.is_file()]
    return min(found, key=lambda path: (len(path.name), path.name), default=None)


def _no_weights(network: str, folder: Path | None, file: Path | None, error: Exception) -> NetworkRefused:
    said = _said(error)
    wanted = f"{network} without its top layers"
    if file is not None:
        return NetworkRefused(f"{file} does not hold the weights of {wanted}: {said}", "replace or remove it")
    place = "the folder of MENAGERIE_WEIGHTS_FOLDER" if folder is None else str(folder)
    return NetworkRefused(
        f"the weights of {network} could not be downloaded: {said}",
        f"put Keras' file of {wanted} as {network}_notop.h5 into {place}, or set options.weights to random",
    )


def _normalise(network: str, model: keras.Model) -> None:
    """Give EfficientNet's normalisation the numbers that its weights were trained with.

    Keras' file holds the spread where the layer wants its square, and Keras mends that by one more layer, but
    only when it downloads by itself (tensorflow issue 49930). With random weights the layer does nothing.
    """
    if _family(getattr(keras.applications, network)) == "efficientnet":
        norm = next(layer for layer in model.layers if isinstance(layer, layers.Normalization))
        norm.set_weights([np.array(_MEANS), np.array(_SPREADS) ** 2, np.array(0)])
        norm.finalize_state()  # what the layer computes with is a copy


def _said(error: Exception) -> str:
    """In one line, without Keras' colours."""
    return " ".join(re.sub(r"\x1b\[\d*m", "", str(error)).split())[:300]


def _family(make: Callable[..., Any]) -> str:
    """Module of keras.applications."""
    return str(inspect.unwrap(make).__module__).rpartition(".")[2]
