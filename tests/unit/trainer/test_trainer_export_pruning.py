"""Pruning: the asked share of each kernel is 0, by a schedule that rises and then rests."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from contracts.training import TrainOptions
from services.networks.build import build
from services.trainer.domain.errors import TrainingError
from services.trainer.fitting.feeding import InMemory
from services.trainer.fitting.pruning import prunable_kernels, prune, share_at

pytestmark = pytest.mark.models

OPTIONS = TrainOptions(batch_size=10, learning_rate=3e-3, rotate_degrees=0, zoom_share=0)
SIZE_PX = 16


def examples() -> InMemory:
    random = np.random.default_rng(1)
    classes = np.arange(60) % 3
    images = random.integers(0, 80, (60, SIZE_PX, SIZE_PX, 3), dtype=np.uint8)
    images[np.arange(60), :, :, classes] += 120
    return InMemory(images, classes)


def pruned(share: float) -> keras.Model:
    keras.utils.set_random_seed(7)
    model = build("small_cnn", SIZE_PX, 3)
    done = prune(model, examples(), OPTIONS, share, epochs=2)
    assert done.share == pytest.approx(share, abs=0.01)
    return model


def test_the_share_rises_from_nothing_to_all_of_it_and_stays() -> None:
    shares = [share_at(step, 100, 0.8) for step in range(101)]
    assert shares[0] == 0
    assert shares == sorted(shares)
    assert shares[60:] == [0.8] * 41
    assert shares[10] > 0.8 * 10 / 60  # fast at first


def test_each_kernel_has_its_zeros_and_the_first_and_the_output_layer_stay_whole() -> None:
    model = pruned(0.7)
    kernels = [keras.ops.convert_to_numpy(kernel) for kernel in prunable_kernels(model)]
    assert len(kernels) >= 2
    for kernel in kernels:
        assert (kernel == 0).sum() == round(0.7 * kernel.size)
    whole = (model.get_layer("block1a_conv").kernel, model.get_layer("scores").kernel)
    assert all((keras.ops.convert_to_numpy(kernel) != 0).all() for kernel in whole)


def test_layers_that_were_saved_held_still_make_up_for_their_zeros_too() -> None:
    model = build("small_cnn", SIZE_PX, 3)
    first = model.get_layer("block1a_conv")
    first.trainable = False
    before = keras.ops.convert_to_numpy(first.kernel)
    prune(model, examples(), OPTIONS, 0.5, epochs=1)
    assert (keras.ops.convert_to_numpy(first.kernel) != before).any()


def test_the_same_seed_prunes_the_same_weights() -> None:
    for one, other in zip(pruned(0.5).get_weights(), pruned(0.5).get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_network_without_inner_kernels_is_told_not_to_be_pruned() -> None:
    pixels = keras.Input((SIZE_PX, SIZE_PX, 3))
    scores = keras.layers.Dense(3, name="scores")(keras.layers.GlobalAveragePooling2D()(pixels))
    with pytest.raises(TrainingError, match=r"has no kernels to prune; set options\.prune_share to 0"):
        prune(keras.Model(pixels, scores, name="flat"), examples(), OPTIONS, 0.5, 1)
