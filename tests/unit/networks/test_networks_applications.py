"""Networks of keras.applications: their families' preprocessing is inside, and their weights are found."""

from __future__ import annotations

import importlib
import inspect
import urllib.error
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving import legacy_h5_format

from services.networks import applications, archive
from services.networks.build import FEATURES_LAYER, NetworkRefused, build
from services.networks.pixels import BATCH_NORM_MOMENTUM

pytestmark = pytest.mark.models

SIDE_PX = 32


def images(count: int = 2, side: int = SIDE_PX) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (count, side, side, 3)).astype(np.float32)


def preprocess_input(network: str) -> np.ndarray:
    """What Keras' own function makes of the images; it may change them in place."""
    family = inspect.unwrap(getattr(keras.applications, network)).__module__.rpartition(".")[2]
    module = importlib.import_module(f"keras.applications.{family}")
    return np.asarray(module.preprocess_input(images()))


def test_every_network_of_keras_can_be_asked_for() -> None:
    found = {name for name, _ in inspect.getmembers(keras.applications) if name[0].isupper()}
    assert set(applications.names()) == found
    assert len(found) >= 40


@pytest.mark.parametrize("network", applications.names())
def test_pixels_are_prepared_as_its_family_does(network: str) -> None:
    pixels = keras.Input((SIDE_PX, SIDE_PX, 3))
    made = applications.prepared(network, pixels)
    said = images() if made is pixels else np.asarray(keras.Model(pixels, made)(images()))
    np.testing.assert_allclose(said, preprocess_input(network), atol=1e-5)


def saved_and_loaded(model: keras.Model, path: Path) -> keras.Model:
    archive.save(model, path)
    return archive.load(path, image_size_px=SIDE_PX, classes=3)


@pytest.mark.parametrize("network", ["ConvNeXtTiny", "EfficientNetB0", "MobileNetV3Small", "VGG16"])
def test_a_model_comes_back_from_its_file_without_code(network: str, tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    model = build(network, SIDE_PX, 3)
    again = saved_and_loaded(model, tmp_path / "model.keras")
    np.testing.assert_array_equal(np.asarray(again(images())), np.asarray(model(images())))
    assert model.get_layer(FEATURES_LAYER).output.shape[1] >= 512
    norms = [layer for layer in again.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert all(norm.momentum == BATCH_NORM_MOMENTUM for norm in norms)


def published(network: str, path: Path) -> keras.Model:
    """A network with weights as somebody would publish them, saved at ``path``, without its top layers.

    Names that end in ``.weights.h5`` are of Keras 3, others of before, as Keras' own files still are.
    """
    keras.utils.set_random_seed(9)
    model = getattr(keras.applications, network)(include_top=False, weights=None, pooling="avg")
    model.set_weights([weight + 0.01 for weight in model.get_weights()])
    write(model, path)
    return model


def write(model: keras.Model, path: Path) -> None:
    if path.name.endswith(".weights.h5"):
        model.save_weights(path)
        return
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)


@pytest.mark.parametrize(("network", "ending"), [("MobileNetV3Small", ".weights"), ("VGG16", "_notop")])
def test_weights_of_imagenet_are_read_from_the_folder(network: str, ending: str, tmp_path: Path) -> None:
    source = published(network, tmp_path / f"{network}{ending}.h5")
    model = build(network, SIDE_PX, 3, weights="imagenet", weights_folder=tmp_path)
    features = keras.Model(model.inputs[0], model.get_layer(FEATURES_LAYER).output)
    prepared = preprocess_input(network)
    np.testing.assert_allclose(np.asarray(features(images())), np.asarray(source(prepared)), atol=1e-4)


def test_efficientnet_prepares_pixels_as_its_weights_were_trained_wherever_they_come_from(
    tmp_path: Path,
) -> None:
    source = published("EfficientNetB0", tmp_path / "EfficientNetB0_notop.h5")
    spread = np.array([0.229, 0.224, 0.225])
    source.layers[2].set_weights(
        [np.array([0.485, 0.456, 0.406]), spread, np.array(0)]
    )  # as Keras' file has it
    write(source, tmp_path / "EfficientNetB0_notop.h5")
    wanted = (images() / 255 - [0.485, 0.456, 0.406]) / spread
    for model in (
        build("EfficientNetB0", SIDE_PX, 3),
        build("EfficientNetB0", SIDE_PX, 3, weights="imagenet", weights_folder=tmp_path),
    ):
        again = saved_and_loaded(model, tmp_path / "model.keras")
        norm = next(layer for layer in again.layers if isinstance(layer, keras.layers.Normalization))
        said = keras.Model(again.inputs[0], norm.output)(images())
        np.testing.assert_allclose(np.asarray(said), wanted, atol=1e-5)
    np.testing.assert_array_equal(model.get_layer("top_conv").kernel, source.get_layer("top_conv").kernel)


def test_the_file_of_the_plainest_name_is_taken_and_other_networks_are_left(tmp_path: Path) -> None:
    for name in ("ResNet50V2.weights.h5", "ResNet500.h5", "notes.txt", "ResNet50.txt"):
        (tmp_path / name).touch()
    assert applications.weights_file("ResNet50", tmp_path) is None
    for name in ("resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5", "ResNet50.weights.h5"):
        (tmp_path / name).touch()
        found = applications.weights_file("ResNet50", tmp_path)
        assert found is not None
        assert found.name == name
    assert applications.weights_file("ResNet50", None) is None
    assert applications.weights_file("ResNet50", tmp_path / "nowhere") is None


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    published("MobileNet", tmp_path / "MobileNetV3Small.weights.h5")
    with pytest.raises(NetworkRefused, match=r"MobileNetV3Small.weights.h5 does not hold the weights of"):
        build("MobileNetV3Small", SIDE_PX, 3, weights="imagenet", weights_folder=tmp_path)


def test_without_the_internet_the_remedy_says_which_file_goes_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", offline)
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path / "cache"))
    with pytest.raises(
        NetworkRefused, match="weights of MobileNetV3Small could not be downloaded"
    ) as refused:
        build("MobileNetV3Small", SIDE_PX, 3, weights="imagenet", weights_folder=tmp_path)
    said = "put Keras' file of MobileNetV3Small without its top layers as MobileNetV3Small_notop.h5 into"
    assert refused.value.remedy == f"{said} {tmp_path}, or set options.weights to random"


@pytest.mark.parametrize(("network", "least"), [("MobileNetV3Small", 32), ("InceptionV3", 75)])
def test_a_size_too_small_for_the_network_is_refused(network: str, least: int) -> None:
    with pytest.raises(
        NetworkRefused, match=rf"{network} cannot take pictures of {least - 1} px: .*{least}x"
    ):
        build(network, least - 1, 3)
