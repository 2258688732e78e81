"""Networks and the training loop, on noise and on colours: what must hold for any data."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from contracts.commands import TrainOptions
from contracts.manifests import Epoch
from services.trainer.domain.errors import TrainingError
from services.trainer.fitting import networks
from services.trainer.fitting.loop import Examples, fit, predict, score

PLAIN = TrainOptions(
    epochs=6, batch_size=8, learning_rate=3e-3, flip=False, rotate_degrees=0, zoom_share=0, seed=3
)
SIDE_PX = 8


def colours(count: int, seed: int = 0) -> Examples:
    """Noisy images of ``seed``, each of the class of its strongest channel."""
    random = np.random.default_rng(seed)
    classes = np.arange(count) % 3
    images = random.integers(0, 120, (count, SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
    images[np.arange(count), :, :, classes] += 100
    return Examples(images, classes.astype(np.int64))


def network(classes: int = 3, seed: int = 3) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return networks.build("small_cnn", SIDE_PX, classes)


@pytest.mark.parametrize(("size_px", "blocks"), [(8, 2), (28, 4), (64, 5), (299, 6)])
def test_the_network_is_as_deep_as_its_input_allows(size_px: int, blocks: int) -> None:
    model = networks.build("small_cnn", size_px, 5)
    assert model.input_shape == (None, size_px, size_px, 3)
    assert model.output_shape == (None, 5)
    assert len({layer.name[:6] for layer in model.layers if layer.name.startswith("block")}) == blocks
    assert model.get_layer(f"block{blocks}a_conv").output.shape[1] >= networks.SMALLEST_MAP_PX


def test_the_demo_network_has_as_many_weights_as_it_says() -> None:
    model = networks.build("small_cnn", 28, 10)
    convolutions = [(3, 16), (16, 32), (32, 32), (32, 64), (64, 64), (64, 128)]
    kernels = sum(9 * inputs * filters for inputs, filters in convolutions)
    norms = sum(4 * filters for _, filters in convolutions)
    assert model.count_params() == kernels + norms + 128 * 10 + 10


def test_scores_are_a_softmax_of_pixels_in_uint8_range_whatever_their_type() -> None:
    model, images = network(), colours(5).images
    scores = predict(model, images)
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(np.asarray(model(images.astype(np.float32))), scores, atol=1e-6)


def test_an_unknown_network_is_refused_with_the_names_of_the_known() -> None:
    with pytest.raises(TrainingError, match=r"network .alexnet. is not known .* one of: small_cnn"):
        networks.build("alexnet", 28, 2)


def test_the_loop_learns_a_tiny_set_and_keeps_the_weights_of_the_epoch_it_names() -> None:
    train, validation, told = colours(48), colours(24, seed=1), list[Epoch]()
    model = network()
    done = fit(model, train, validation, PLAIN, told.append)
    assert tuple(told) == done.epochs
    assert score(model, train)[1] == 1.0
    kept = done.epochs[done.best_epoch - 1]
    assert score(model, validation) == pytest.approx((kept.val_loss, kept.val_accuracy))


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    def weights(seed: int) -> list[np.ndarray]:
        options = PLAIN.model_copy(update={"epochs": 2, "rotate_degrees": 10.0, "seed": seed})
        model = network(seed=seed)
        fit(model, colours(24), colours(12, seed=1), options)
        return list(model.get_weights())

    first, again, other = weights(3), weights(3), weights(4)
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_training_stops_when_it_gets_no_better_and_without_a_validation_side_the_loss_decides() -> None:
    still = PLAIN.model_copy(update={"learning_rate": 1e-9, "epochs": 20, "patience_epochs": 2})
    assert len(fit(network(), colours(24), colours(12, seed=1), still).epochs) < 20
    nothing = Examples(np.empty((0, SIDE_PX, SIDE_PX, 3), np.uint8), np.empty(0, np.int64))
    done = fit(network(), colours(24), nothing, PLAIN)
    assert done.epochs[0].val_accuracy is None
    assert done.best_epoch == min(done.epochs, key=lambda epoch: epoch.loss).epoch


def test_a_loss_that_is_no_number_ends_the_run_with_a_remedy() -> None:
    model = network()
    model.get_layer("scores").set_weights([np.full((32, 3), np.nan), np.zeros(3)])
    with pytest.raises(TrainingError, match=r"loss became nan in epoch 1; lower options.learning_rate"):
        fit(model, colours(24), colours(12), PLAIN)


def test_a_new_output_layer_leaves_all_other_weights_and_lets_them_train() -> None:
    base = network()
    before = base.get_layer("block1a_conv").get_weights()[0]
    grown = networks.replace_output(base, 5)
    assert grown.output_shape == (None, 5)
    np.testing.assert_array_equal(grown.get_layer("block1a_conv").get_weights()[0], before)
    assert len(grown.trainable_weights) == len(base.trainable_weights)
