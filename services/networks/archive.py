"""Models as ``.keras`` files: loaded without code and of the wanted shapes, saved without optimizer slots."""

from __future__ import annotations

from pathlib import Path

import keras

from services.runtime.model_archive import ModelRefused, refuse_code


def load(path: Path, *, image_size_px: int | None = None, classes: int | None = None) -> keras.Model:
    """The model at ``path``, uncompiled: pixels [N, S, S, 3] to scores [N, classes].

    Raises:
        ModelRefused: it brings code, has a Lambda layer, is damaged, or is not of the size and classes
            that are given.
    """
    refuse_code(path)
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
        taken, given = tuple(model.input_shape), tuple(model.output_shape)  # a Sequential may have neither
    except (AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise ModelRefused(f"Keras cannot load the model: {error}") from error
    if image_size_px is not None and taken != (None, image_size_px, image_size_px, 3):
        raise ModelRefused(f"the model takes {taken}; wanted is {(None, image_size_px, image_size_px, 3)}")
    if classes is not None and given != (None, classes):
        raise ModelRefused(f"the model gives {given}; wanted is {(None, classes)}")
    return model


def save(model: keras.Model, path: Path) -> None:
    """Write the network and its weights; a compiled model would bring its optimizer along."""
    keras.Model(model.inputs[0], model.outputs[0], name=model.name).save(path)
