"""A model is loaded without code and of the wanted shapes, or not at all."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from services.networks import archive
from services.networks.build import build
from services.runtime.model_archive import ModelRefused

pytestmark = pytest.mark.models

SIDE_PX = 8


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    keras.utils.set_random_seed(1)
    model = build("small_cnn", SIDE_PX, 3)
    model.compile("adam", "sparse_categorical_crossentropy", run_eagerly=True)
    model.train_on_batch(np.zeros((2, SIDE_PX, SIDE_PX, 3)), np.zeros(2))
    archive.save(model, tmp_path / "model.keras")
    return tmp_path / "model.keras"


def test_a_model_comes_back_as_it_was_without_its_optimizer(saved: Path) -> None:
    model = archive.load(saved, image_size_px=SIDE_PX, classes=3)
    assert (model.input_shape, model.output_shape) == ((None, SIDE_PX, SIDE_PX, 3), (None, 3))
    assert not hasattr(model, "optimizer")
    archive.save(model, saved.with_name("again.keras"))
    again = archive.load(saved.with_name("again.keras"))
    for one, two in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    with zipfile.ZipFile(saved) as file:
        assert "Adam" not in file.read("config.json").decode()


def test_another_size_or_number_of_classes_is_refused(saved: Path) -> None:
    with pytest.raises(ModelRefused, match=r"takes \(None, 8, 8, 3\); wanted is \(None, 9, 9, 3\)"):
        archive.load(saved, image_size_px=9, classes=3)
    with pytest.raises(ModelRefused, match=r"gives \(None, 3\); wanted is \(None, 4\)"):
        archive.load(saved, image_size_px=SIDE_PX, classes=4)


def test_a_network_that_takes_no_shape_is_refused(tmp_path: Path) -> None:
    model = keras.Sequential([layers.Dense(3)])
    with pytest.warns(UserWarning, match="not yet been built"):
        model.save(tmp_path / "shapeless.keras")
    with pytest.raises(ModelRefused, match=r"cannot load the model: .* no defined input shape"):
        archive.load(tmp_path / "shapeless.keras")


def test_a_lambda_layer_is_refused_before_keras_reads_it(tmp_path: Path) -> None:
    pixels = keras.Input((SIDE_PX, SIDE_PX, 3))
    model = keras.Model(pixels, layers.Lambda(lambda x: x[:, 0, 0, :], output_shape=(3,))(pixels))
    model.save(tmp_path / "lambda.keras")
    with pytest.raises(ModelRefused, match="has a Lambda, which runs bytecode"):
        archive.load(tmp_path / "lambda.keras")


def test_a_class_of_ones_own_is_refused(tmp_path: Path) -> None:
    @keras.saving.register_keras_serializable("mine")
    class Doubled(layers.Layer):  # type: ignore[misc]
        def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
            return 2 * x

    pixels = keras.Input((SIDE_PX, SIDE_PX, 3))
    keras.Model(pixels, layers.GlobalAveragePooling2D()(Doubled()(pixels))).save(tmp_path / "mine.keras")
    with pytest.raises(ModelRefused, match=r"Doubled, which is not Keras' own"):
        archive.load(tmp_path / "mine.keras")


@pytest.mark.parametrize("damage", ["cut", "other weights", "no layers", "page"])
def test_what_is_damaged_is_refused(saved: Path, damage: str) -> None:
    if damage == "cut":
        saved.write_bytes(saved.read_bytes()[:-100])
    elif damage == "page":
        saved.write_bytes(b"<html>404</html>")
    else:
        with zipfile.ZipFile(saved) as file:
            held = {name: file.read(name) for name in file.namelist()}
        config = json.loads(held["config.json"])
        if damage == "no layers":
            config["config"]["layers"] = []
        else:
            held["model.weights.h5"] = held["model.weights.h5"][:2000]
        held["config.json"] = json.dumps(config).encode()
        with zipfile.ZipFile(saved, "w") as file:
            for name, data in held.items():
                file.writestr(name, data)
    with pytest.raises(ModelRefused):
        archive.load(saved)
