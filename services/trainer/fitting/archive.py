"""Models as ``.keras`` files: loaded by digest and without code, saved without optimizer slots."""

from __future__ import annotations

from pathlib import Path

import keras

from contracts.values import ObjectRef
from services.runtime.model_archive import refuse_code
from services.runtime.objectstore import ObjectStore


def load(store: ObjectStore, ref: ObjectRef, scratch: Path) -> keras.Model:
    """The model that ``ref`` names, uncompiled.

    Raises:
        ObjectMissing, ObjectDamaged: it is not there, or other bytes are.
        ModelRefused: it brings code.
    """
    path = scratch / f"{ref.sha256}.keras"
    store.get_file(ref, path)
    refuse_code(path)
    return keras.saving.load_model(path, compile=False, safe_mode=True)


def save(model: keras.Model, path: Path) -> None:
    """Write the network and its weights; a compiled model would bring its optimizer along."""
    keras.Model(model.inputs, model.outputs, name=model.name).save(path)
