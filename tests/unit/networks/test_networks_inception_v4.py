"""Inception-v4: the paper's shapes and number of weights, and it learns."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from services.networks.build import FEATURES_LAYER, NetworkRefused, build

pytestmark = pytest.mark.models

PARAMETERS = 42_679_816
"""That train, at 1,000 classes."""


@pytest.fixture(scope="module")
def whole() -> keras.Model:
    keras.utils.set_random_seed(1)
    return build("inception_v4", 299, 1000)


def test_it_has_as_many_weights_as_the_paper_s(whole: keras.Model) -> None:
    assert sum(int(np.prod(variable.shape)) for variable in whole.trainable_variables) == PARAMETERS
    assert whole.count_params() == 42_742_984  # with the averages of the batch norms


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        ("stem3_relu", (147, 147, 64)),
        ("stem4", (73, 73, 160)),
        ("stem5", (71, 71, 192)),
        ("stem6", (35, 35, 384)),
        *((f"a{number}", (35, 35, 384)) for number in range(1, 5)),
        ("ra", (17, 17, 1024)),
        *((f"b{number}", (17, 17, 1024)) for number in range(1, 8)),
        ("rb", (8, 8, 1536)),
        *((f"c{number}", (8, 8, 1536)) for number in range(1, 4)),
        (FEATURES_LAYER, (1536,)),
    ],
)
def test_each_block_has_the_shape_of_its_figure(
    whole: keras.Model, layer: str, shape: tuple[int, ...]
) -> None:
    assert whole.get_layer(layer).output.shape[1:] == shape


def test_a_step_at_299_px_moves_the_first_and_the_last_weights(whole: keras.Model) -> None:
    watched = [whole.get_layer(name).weights[0] for name in ("stem1_conv", "b4_deep3_norm", "scores")]
    before = [variable.numpy() for variable in watched]
    images = np.random.default_rng(1).integers(0, 256, (1, 299, 299, 3)).astype(np.uint8)
    whole.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", run_eagerly=True)
    loss = float(whole.train_on_batch(images, np.array([3])))
    assert 4 < loss < 12  # of chance: log(1000) = 6.9
    for variable, old in zip(watched, before, strict=True):
        assert np.isfinite(variable.numpy()).all()
        assert not np.array_equal(variable.numpy(), old)


def test_it_learns_a_handful_of_small_pictures_by_heart() -> None:
    keras.utils.set_random_seed(2)
    model = build("inception_v4", 75, 2, dropout=0.0)
    images = np.random.default_rng(2).integers(0, 256, (6, 75, 75, 3)).astype(np.uint8)
    classes = np.array([0, 1, 0, 1, 0, 1])
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", jit_compile=False)
    losses = [float(model.train_on_batch(images, classes)) for _ in range(12)]
    assert losses[0] > 0.3
    assert min(losses) < 0.02


def test_a_size_too_small_for_its_last_map_is_refused() -> None:
    with pytest.raises(NetworkRefused, match=r"from 75 px on, not 74 px; set options.network to small_cnn"):
        build("inception_v4", 74, 2)
