"""Networks by name, their output layer, and what a base leaves to its successor."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from services.networks import archive, small_cnn
from services.networks.build import FEATURES_LAYER, NAMES, SCORES_LAYER, NetworkRefused, build, replace_output
from services.networks.names import DROPOUT_LAYER

pytestmark = pytest.mark.models

SIDE_PX = 8


def images(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, SIDE_PX, SIDE_PX, 3), dtype=np.uint8)


def network(classes: int = 3, **options: float) -> keras.Model:
    keras.utils.set_random_seed(3)
    return build("small_cnn", SIDE_PX, classes, **options)


def rows(model: keras.Model) -> list[np.ndarray]:
    return list(model.get_layer(SCORES_LAYER).get_weights())


@pytest.mark.parametrize(("size_px", "blocks"), [(8, 2), (28, 4), (64, 5), (299, 6)])
def test_the_small_network_is_as_deep_as_its_input_allows(size_px: int, blocks: int) -> None:
    model = build("small_cnn", size_px, 5)
    assert model.input_shape == (None, size_px, size_px, 3)
    assert model.output_shape == (None, 5)
    assert len({layer.name[:6] for layer in model.layers if layer.name.startswith("block")}) == blocks
    assert model.get_layer(f"block{blocks}a_conv").output.shape[1] >= small_cnn.SMALLEST_MAP_PX


def test_the_demo_network_has_as_many_weights_as_it_says() -> None:
    model = build("small_cnn", 28, 10)
    convolutions = [(3, 16), (16, 32), (32, 32), (32, 64), (64, 64), (64, 128)]
    kernels = sum(9 * inputs * filters for inputs, filters in convolutions)
    norms = sum(4 * filters for _, filters in convolutions)
    assert model.count_params() == kernels + norms + 128 * 10 + 10


def test_scores_are_a_float32_softmax_of_pixels_in_uint8_range_whatever_their_type() -> None:
    model, pixels = network(), images(5)
    scores = np.asarray(model(pixels))
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(np.asarray(model(pixels.astype(np.float32))), scores, atol=1e-6)


def test_under_mixed_precision_pixels_and_scores_stay_float32() -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = network()
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.get_layer("block1a_conv").compute_dtype == "bfloat16"
    assert {model.get_layer(name).compute_dtype for name in ("rescale", SCORES_LAYER)} == {"float32"}
    assert model(images(2)).dtype == "float32"


@pytest.mark.parametrize("name", ["alexnet", "Model", "resnet50", "preprocess_input", "os"])
def test_an_unknown_network_is_refused_with_the_names_of_the_known(name: str) -> None:
    known = ", ".join(NAMES)
    assert set(NAMES) == {"efficientnet_lite0", "inception_v4", "small_cnn"}
    with pytest.raises(
        NetworkRefused, match=f"network '{name}' is not known; .* one of: {known}, or a network"
    ):
        build(name, 28, 2)


@pytest.mark.parametrize(
    ("name", "near"),
    [("resnet50", "nearest: ResNet50, "), ("efficientnet_lite_0", "nearest: efficientnet_lite0")],
)
def test_a_misspelt_network_is_told_its_nearest(name: str, near: str) -> None:
    with pytest.raises(NetworkRefused, match=near):
        build(name, 28, 2)


@pytest.mark.parametrize("name", ["inception_v4", "small_cnn"])
def test_weights_that_nobody_published_are_refused(name: str) -> None:
    with pytest.raises(NetworkRefused, match=f"no imagenet weights of {name}; set options.weights to random"):
        build(name, 96, 2, weights="imagenet")


def test_dropout_is_the_networks_own_unless_it_is_given() -> None:
    assert network().get_layer(DROPOUT_LAYER).rate == small_cnn.DROPOUT_SHARE
    assert network(dropout=0.4).get_layer(DROPOUT_LAYER).rate == 0.4
    assert not any(isinstance(layer, layers.Dropout) for layer in network(dropout=0.0).layers)


def test_kernels_are_regularised_and_the_saved_model_forgets_it(tmp_path: Path) -> None:
    model = network(l1=0.1, l2=0.2)
    kernels = [variable.numpy() for variable in model.trainable_variables if variable.name == "kernel"]
    wanted = [0.1 * np.abs(kernel).sum() + 0.2 * (kernel**2).sum() for kernel in kernels]
    assert len(kernels) == 3
    np.testing.assert_allclose([float(loss) for loss in model.losses], wanted, rtol=1e-5)
    archive.save(model, tmp_path / "model.keras")
    assert archive.load(tmp_path / "model.keras").losses == []
    assert network().losses == replace_output(model, 4).losses == []


def test_a_new_output_layer_leaves_all_other_weights_and_lets_them_train() -> None:
    base = network()
    base.get_layer("block1a_conv").trainable = False
    before = base.get_layer("block1a_conv").get_weights()[0]
    grown = replace_output(base, 5)
    assert grown.output_shape == (None, 5)
    np.testing.assert_array_equal(grown.get_layer("block1a_conv").get_weights()[0], before)
    assert len(grown.trainable_weights) == len(network().trainable_weights)
    assert grown.get_layer(FEATURES_LAYER).output.shape == base.get_layer(FEATURES_LAYER).output.shape


def test_kept_classes_take_their_rows_along_and_the_others_are_random() -> None:
    base = network(3)
    base.get_layer(SCORES_LAYER).set_weights([np.full((32, 3), (1.0, 2.0, 3.0)), np.array([4.0, 5.0, 6.0])])
    kernel, bias = rows(replace_output(base, 4, kept={0: 2, 3: 0}))
    assert (kernel[:, 0] == 3).all()
    assert (kernel[:, 3] == 1).all()
    assert not set(np.unique(kernel[:, 1:3])) & {1.0, 2.0, 3.0}
    assert bias.tolist() == [6, 0, 0, 4]
    random = rows(replace_output(base, 4))[0]
    assert not np.isin(random, [1.0, 2.0, 3.0]).any()


def test_the_same_images_give_the_same_scores_when_all_classes_are_kept() -> None:
    base, pixels = network(3), images(6)
    turned = replace_output(base, 3, kept={0: 2, 1: 1, 2: 0})
    np.testing.assert_allclose(np.asarray(turned(pixels)), np.asarray(base(pixels))[:, ::-1], atol=1e-6)


@pytest.mark.parametrize("kept", [{0: 3}, {4: 0}, {-1: 0}, {0: -1}])
def test_rows_that_are_not_there_cannot_be_kept(kept: dict[int, int]) -> None:
    with pytest.raises(
        NetworkRefused, match=r"output layer has rows 0 to [23]; set options.keep_output_rows"
    ):
        replace_output(network(3), 4, kept=kept)


def test_a_successor_keeps_the_share_of_dropout_unless_another_is_given() -> None:
    base = network(dropout=0.3)
    assert replace_output(base, 2).get_layer(DROPOUT_LAYER).rate == 0.3
    assert replace_output(base, 2, dropout=0.5).get_layer(DROPOUT_LAYER).rate == 0.5
    bare = replace_output(base, 2, dropout=0.0)
    assert DROPOUT_LAYER not in {layer.name for layer in bare.layers}
    assert replace_output(bare, 2, dropout=0.5).get_layer(DROPOUT_LAYER).rate == 0.5


def test_a_base_of_before_there_were_names_is_taken_by_its_output_layer_and_others_are_refused() -> None:
    pixels = keras.Input((SIDE_PX, SIDE_PX, 3))
    pooled = layers.GlobalAveragePooling2D()(pixels)
    named = keras.Model(pixels, layers.Dense(2, "softmax", name=SCORES_LAYER)(pooled))
    assert replace_output(named, 5).output_shape == (None, 5)
    other = keras.Model(pixels, layers.Dense(2, "softmax", name="answers")(pooled), name="odd")
    with pytest.raises(
        NetworkRefused, match="the base 'odd' has no Dense layer 'scores'; start from scratch"
    ):
        replace_output(other, 5)
