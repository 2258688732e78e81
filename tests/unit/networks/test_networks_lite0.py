"""EfficientNet-lite0: its numbers are torch's at any size, all of it trains, and what cannot be is said."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from services.networks import efficientnet_lite0, lite0_weights
from services.networks.build import FEATURES_LAYER, NetworkRefused, build
from tests.benchmarks.lite0_reference import pictures

pytestmark = pytest.mark.models

REFERENCE = Path(__file__).with_name("lite0_reference.npz")
"""Of torch, by tests/benchmarks/lite0_reference.py."""


def features(model: keras.Model) -> keras.Model:
    return keras.Model(model.inputs[0], model.get_layer(FEATURES_LAYER).output)


@pytest.mark.parametrize("side", [224, 96])
def test_its_features_are_those_of_the_torch_reference(side: int) -> None:
    model = features(build("efficientnet_lite0", side, 7, weights="imagenet"))
    said = np.asarray(model(pictures(side), training=False))
    with np.load(REFERENCE) as reference:
        wanted = reference[f"side{side}"]
    assert said.shape == wanted.shape == (2, 1280)
    np.testing.assert_allclose(said, wanted, atol=2e-4)


def test_all_its_weights_train_and_a_step_moves_kernels_gains_and_averages() -> None:
    keras.utils.set_random_seed(1)
    model = build("efficientnet_lite0", 32, 3, weights="imagenet")
    norms = sum(isinstance(layer, keras.layers.BatchNormalization) for layer in model.layers)
    kernels = sum("kernel" in variable.name for variable in model.trainable_variables)
    assert (kernels, norms) == (49 + 1, 49)
    watched = [model.get_layer("stem_conv").weights[0], *model.get_layer("head_norm").weights]
    before = [variable.numpy() for variable in watched]
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", run_eagerly=True)
    model.train_on_batch(pictures(32), np.array([0, 1]))
    assert all(
        not np.array_equal(variable.numpy(), old) for variable, old in zip(watched, before, strict=True)
    )


def test_a_size_below_its_stride_is_refused() -> None:
    with pytest.raises(NetworkRefused, match=r"from 32 px on, not 31 px; set options.network to small_cnn"):
        build("efficientnet_lite0", 31, 3)
    assert build("efficientnet_lite0", 33, 3).get_layer("head_relu6").output.shape == (None, 2, 2, 1280)


def test_without_the_package_the_remedy_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lite0_weights, "PACKAGE", "no-such-package-of-weights")
    with pytest.raises(NetworkRefused, match="no-such-package-of-weights is not installed whole") as refused:
        build("efficientnet_lite0", 32, 3, weights="imagenet")
    assert refused.value.remedy == "install menagerie[trainer] again, or set options.weights to random"


def test_another_networks_weights_do_not_fit() -> None:
    model = efficientnet_lite0.backbone(32)
    with pytest.raises(KeyError):
        efficientnet_lite0.load_weights(model, {"_conv_stem.weight": np.zeros((32, 3, 3, 3))})
