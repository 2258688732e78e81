"""Which layers learn: rates by name, by share, and what a layer that does not learn does in training."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from contracts.training import LearningRates
from services.networks.build import build
from services.networks.layers import freeze_batch_norms, hold_still, let_learn, rates_of

pytestmark = pytest.mark.models

SIDE_PX = 8


@pytest.fixture
def model() -> keras.Model:
    keras.utils.set_random_seed(1)
    return build("small_cnn", SIDE_PX, 3)


def by_layer(found: dict[str, float]) -> dict[str, float]:
    return {path.split("/")[0]: rate for path, rate in found.items()}


def step(model: keras.Model) -> set[str]:
    """Names of layers that one step moved a weight of."""
    before = {variable.path: variable.numpy() for variable in model.variables}
    model.compile(keras.optimizers.SGD(1.0), "sparse_categorical_crossentropy", run_eagerly=True)
    images = np.random.default_rng(0).integers(0, 256, (6, SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
    model.train_on_batch(images, np.arange(6) % 3)
    # A dropout's seed moves whether it learns or not.
    return {
        path.split("/")[0]
        for path, old in before.items()
        if "seed" not in path
        and not np.array_equal(old, next(v.numpy() for v in model.variables if v.path == path))
    }


LAYERS = ["block1a_conv", "block1a_norm", "block2a_conv", "block2a_norm", "scores"]


def test_every_weight_that_trains_learns_at_the_runs_rate_by_default(model: keras.Model) -> None:
    found = rates_of(model, LearningRates())
    assert set(found) == {variable.path for variable in model.trainable_variables}
    assert by_layer(found) == dict.fromkeys(LAYERS, 1.0)


@pytest.mark.parametrize(
    ("rates", "wanted"),
    [
        (LearningRates(backbone=0.1), [0.1, 0.1, 0.1, 0.1, 1]),
        (LearningRates(backbone=0), [0, 0, 0, 0, 1]),
        (LearningRates(frozen_share=0.5), [0, 0, 1, 1, 1]),
        (LearningRates(frozen_share=1, backbone=0.5), [0, 0, 0, 0, 1]),
        (LearningRates(frozen_share=0.25, backbone=0.5), [0, 0.5, 0.5, 0.5, 1]),
        (LearningRates(layers={"block1": 0.2, "block1a_norm": 3}), [0.2, 3, 1, 1, 1]),
        (LearningRates(layers={"scores": 0.3}, backbone=0.1), [0.1, 0.1, 0.1, 0.1, 0.3]),
        (LearningRates(layers={"block1": 0.2}, frozen_share=1), [0.2, 0.2, 0, 0, 1]),
        (LearningRates(layers={"block": 0, "block2": 1, "nothing": 5}), [0, 0, 1, 1, 1]),
    ],
)
def test_rates_are_by_name_then_by_share_then_by_backbone(
    model: keras.Model, rates: LearningRates, wanted: list[float]
) -> None:
    assert list(by_layer(rates_of(model, rates)).values()) == pytest.approx(wanted)


def test_rates_are_the_same_whatever_learns_at_the_moment(model: keras.Model) -> None:
    rates = LearningRates(backbone=0.5)
    wanted = rates_of(model, rates)
    hold_still(model, rates_of(model, LearningRates(backbone=0)))
    assert len(model.trainable_variables) == 2
    assert rates_of(model, rates) == wanted
    assert len(model.trainable_variables) == 2
    let_learn(model)
    assert len(model.trainable_variables) == len(wanted)


def test_layers_of_a_model_inside_a_model_count_from_the_input_on() -> None:
    inner = keras.Sequential(
        [keras.Input((4,)), layers.Dense(4, name="first"), layers.Dense(4, name="second")]
    )
    entry = keras.Input((4,))
    model = keras.Model(entry, layers.Dense(2, name="scores")(layers.Dense(4, name="third")(inner(entry))))
    found = rates_of(model, LearningRates(frozen_share=0.67, backbone=0.5))
    assert [(path.split("/")[-2], rate) for path, rate in found.items() if path.endswith("kernel")] == [
        ("first", 0), ("second", 0), ("third", 0.5), ("scores", 1),
    ]  # fmt: skip
    hold_still(model, found)
    assert [variable.path.split("/")[-2] for variable in model.trainable_variables if "kernel" in variable.path] == [
        "third", "scores",
    ]  # fmt: skip


def test_what_is_held_still_moves_nothing_not_even_its_averages_and_can_be_let_go(model: keras.Model) -> None:
    hold_still(model, rates_of(model, LearningRates(frozen_share=0.5)))
    assert step(model) == {"block2a_conv", "block2a_norm", "scores"}
    hold_still(model, {variable.path: 1.0 for variable in model.variables})
    assert step(model) == set(LAYERS)


def test_frozen_batch_norms_keep_their_averages_and_answer_in_training_as_in_use(model: keras.Model) -> None:
    freeze_batch_norms(model)
    assert step(model) == {"block1a_conv", "block2a_conv", "scores"}
    bare = keras.Model(model.inputs[0], model.get_layer("features").output)
    images = np.random.default_rng(1).integers(0, 256, (4, SIDE_PX, SIDE_PX, 3)).astype(np.float32)
    np.testing.assert_array_equal(np.asarray(bare(images, training=True)), np.asarray(bare(images)))
