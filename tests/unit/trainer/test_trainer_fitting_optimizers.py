"""Learning rates by variable and by step, weight decay, and when a curve is over: no network needed."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from contracts.manifests import Epoch
from services.trainer.fitting.compiling import class_weights
from services.trainer.fitting.optimizers import optimizer_of
from services.trainer.fitting.schedules import learning_rate, reductions
from tests.support.tiny_training import asked

pytestmark = pytest.mark.models


def moved(optimizer: keras.optimizers.Optimizer, shape: tuple[int, ...] = (2, 3)) -> np.ndarray:
    """Where two equal variables are after the same five gradients: [2, *shape]."""
    both = [keras.Variable(np.ones(shape, np.float32), name=name) for name in ("fast", "slow")]
    random = np.random.default_rng(0)
    for _ in range(5):
        gradient = random.normal(size=shape).astype(np.float32)
        optimizer.apply([keras.ops.convert_to_tensor(gradient)] * 2, both)
    return np.stack([variable.numpy() for variable in both])


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_a_variable_of_a_tenth_of_the_rate_moves_a_tenth_of_the_way(name: str) -> None:
    fast, slow = moved(optimizer_of(asked(optimizer=name), {"slow": 0.1})) - 1
    np.testing.assert_allclose(slow, 0.1 * fast, rtol=1e-3)
    assert np.abs(fast).min() > 0


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("adam", keras.optimizers.Adam),
        ("adamw", lambda **more: keras.optimizers.AdamW(weight_decay=0.1, **more)),
        ("sgd", lambda **more: keras.optimizers.SGD(momentum=0.9, nesterov=True, weight_decay=0.1, **more)),
    ],
)
def test_at_the_full_rate_the_optimizers_are_those_of_keras(name: str, plain: Any) -> None:
    ours = moved(optimizer_of(asked(optimizer=name, weight_decay=0.1, learning_rate=0.02), {}))
    np.testing.assert_allclose(ours, moved(plain(learning_rate=0.02)), rtol=1e-6)


def test_decay_keeps_to_the_rate_of_its_variable_and_spares_biases() -> None:
    def decayed(shape: tuple[int, ...]) -> np.ndarray:
        ways = [asked(optimizer="sgd", weight_decay=decay, learning_rate=0.1) for decay in (0.0, 0.01)]
        without, with_decay = (moved(optimizer_of(way, {"slow": 0.1}), shape) for way in ways)
        return np.asarray(without - with_decay)

    fast, slow = decayed((2, 3))
    assert fast.min() > 0.003
    np.testing.assert_allclose(slow.mean(), 0.1 * fast.mean(), rtol=0.2)
    assert not decayed((4,)).any()


def losses(*values: float) -> list[Epoch]:
    return [
        Epoch(epoch=number, loss=9.0, accuracy=0.0, val_loss=value, seconds=1)
        for number, value in enumerate(values, start=1)
    ]


def test_a_cosine_warms_up_over_a_tenth_and_ends_at_a_hundredth() -> None:
    options = asked(schedule="cosine", learning_rate=1.0, epochs=10)
    rates = [learning_rate(options, epoch, step, 10, ()) for epoch in range(1, 11) for step in range(10)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[10] == max(rates) == 1.0
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.01, abs=1e-3)


def test_a_plateau_takes_a_fifth_after_so_many_epochs_without_a_lower_loss() -> None:
    assert [reductions(losses(3, 2, 2, 2.5, 1, 1, 1, 1)[:n], 2) for n in range(9)] == [
        0,
        0,
        0,
        0,
        1,
        1,
        1,
        2,
        2,
    ]
    options = asked(schedule="plateau", plateau_epochs=2, learning_rate=0.5)
    assert learning_rate(options, 5, 0, 10, losses(3, 2, 2, 2.5)) == pytest.approx(0.1)


def test_epochs_of_the_output_layer_alone_have_the_full_rate_and_are_no_part_of_the_schedule() -> None:
    cosine = asked(schedule="cosine", learning_rate=1.0, epochs=12, rates={"head_epochs": 2})
    assert [learning_rate(cosine, epoch, 0, 10, ()) for epoch in (1, 2)] == [1.0, 1.0]
    assert learning_rate(cosine, 3, 0, 10, ()) == pytest.approx(0.1)
    plateau = asked(schedule="plateau", plateau_epochs=1, learning_rate=1.0, rates={"head_epochs": 2})
    assert learning_rate(plateau, 4, 0, 10, losses(1, 2, 3)) == 1.0
    assert learning_rate(asked(learning_rate=0.25), 7, 3, 10, losses(1, 2)) == 0.25


def test_balanced_weights_make_classes_count_the_same_and_an_image_for_one_on_average() -> None:
    classes = np.array([0, 0, 0, 0, 0, 0, 2, 2, 2])
    weights = class_weights(asked(class_weights="balanced"), classes, 3)
    assert weights is not None
    np.testing.assert_allclose(weights, [0.75, 0, 1.5])
    assert weights[classes].mean() == pytest.approx(1)
    assert class_weights(asked(), classes, 3) is None
