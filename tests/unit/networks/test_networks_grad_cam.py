"""Where a network sees a class: the heat lies on what it was taught to look at."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from services.networks.build import build
from services.networks.errors import NetworkRefused
from services.networks.grad_cam import heat_of, overlay

pytestmark = pytest.mark.models

SIZE_PX, PATCH_PX = 28, 8
PATCH, PLAIN = 1, 0


def pictures(count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Noise, every other one with a bright patch somewhere; their classes and the patches' corners."""
    draws = np.random.default_rng(seed)
    images = draws.integers(0, 90, (count, SIZE_PX, SIZE_PX, 3)).astype(np.uint8)
    classes = np.arange(count) % 2
    corners = draws.integers(0, SIZE_PX - PATCH_PX, (count, 2))
    for image, kind, (top, left) in zip(images, classes, corners, strict=True):
        if kind == PATCH:
            image[top : top + PATCH_PX, left : left + PATCH_PX] = 240
    return images, classes, corners


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(3)
    made = build("small_cnn", SIZE_PX, 2)
    images, classes, _ = pictures(240, 1)
    made.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    made.fit(images, classes, batch_size=24, epochs=4, verbose=0)
    return made


def test_the_heat_lies_on_the_patch_that_makes_the_class(model: keras.Model) -> None:
    images, _, corners = pictures(16, 2)
    inside = []
    for image, (top, left) in zip(images[1::2], corners[1::2], strict=True):
        heat = heat_of(model, image, PATCH)
        assert heat.shape == (SIZE_PX, SIZE_PX)
        assert heat.max() <= 1.0
        # A cell of the network's 7 px map is 4 px, and pooling carries what is bright one cell further.
        inside.append(heat[around(top, left, 4)].sum() / heat.sum())
        assert around(top, left, 8)[np.unravel_index(heat.argmax(), heat.shape)]
    assert np.mean(inside) > 0.5  # a third, were it spread evenly


def around(top: int, left: int, margin_px: int) -> NDArray[np.bool_]:
    """Where the patch is, and a margin."""
    near = np.zeros((SIZE_PX, SIZE_PX), bool)
    reach = PATCH_PX + margin_px
    near[max(0, top - margin_px) : top + reach, max(0, left - margin_px) : left + reach] = True
    return near


def test_a_network_whose_weights_are_held_still_is_explained_alike(model: keras.Model) -> None:
    image = pictures(2, 3)[0][1]
    before = heat_of(model, image, PATCH)
    model.trainable = False
    try:
        np.testing.assert_allclose(heat_of(model, image, PATCH), before, atol=1e-5)
    finally:
        model.trainable = True


def test_the_overlay_leaves_the_picture_where_it_is_cold_and_reddens_it_where_it_is_hot() -> None:
    image = pictures(2, 4)[0][1]
    cold = overlay(image, np.zeros((SIZE_PX, SIZE_PX), np.float32))
    np.testing.assert_array_equal(cold, image)
    hot = overlay(image, np.ones((SIZE_PX, SIZE_PX), np.float32))
    assert hot[..., 0].min() > 120
    assert (hot[..., 2] <= image[..., 2]).all()


def test_a_class_or_a_network_that_cannot_be_explained_is_refused(model: keras.Model) -> None:
    image = np.zeros((SIZE_PX, SIZE_PX, 3), np.uint8)
    for index in (-1, 2):
        with pytest.raises(NetworkRefused, match="none of the 2 classes 0 to 1"):
            heat_of(model, image, index)
    pixels = keras.Input((SIZE_PX, SIZE_PX, 3))
    flat = keras.Model(
        pixels, keras.layers.Dense(2, "softmax", name="scores")(keras.layers.Flatten()(pixels))
    )
    with pytest.raises(NetworkRefused, match="has no map"):
        heat_of(flat, image, 0)


def test_networks_of_keras_have_a_heat_too() -> None:
    heat = heat_of(build("MobileNetV3Small", 64, 3), np.full((64, 64, 3), 100, np.uint8), 1)
    assert heat.shape == (64, 64)
    assert np.isfinite(heat).all()
