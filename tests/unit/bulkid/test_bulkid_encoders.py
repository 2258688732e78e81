"""Encoders: the backbone's numbers are torch's, bars do not count, and every network has its features."""

from __future__ import annotations

import io
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray
from PIL import Image

from services.bulkid.backbone import encoder, lite0
from services.bulkid.backbone.encoder import Encoder, of_model, pretrained
from services.bulkid.domain.features import FeaturesRefused, unit_length
from services.networks import build as networks
from services.networks.lite0_weights import pretrained_weights
from services.runtime.model_archive import ModelRefused

pytestmark = pytest.mark.models

SIDE_PX = 299

TORCH = (
    ((113, 328, 400, 423, 437, 455, 468, 504, 577, 747, 897, 930, 1137, 1157, 1167, 1277),
     (5.1486, 1.7968, 2.0221, 1.9382, 2.3835, 3.5177, 3.0126, 2.8467, 1.7752, 1.8835, 3.1341, 2.809, 2.2096,
      1.9076, 1.9384, 3.6514), 114.488945),
    ((71, 113, 226, 245, 265, 423, 455, 468, 689, 747, 755, 897, 930, 1006, 1157, 1260),
     (3.8191, 4.9869, 2.4615, 2.552, 2.4437, 2.5178, 2.335, 2.5962, 3.5964, 2.8648, 3.1268, 5.1501, 4.0833,
      2.5307, 2.7789, 2.9575), 162.29575),
)  # fmt: skip
"""Of ``pictures()``: places of 16 features, their values, and the sum of all 1,280, computed by torch 2.15."""


def pictures() -> NDArray[np.float32]:
    """Tiles of all colours and a slope: [2, 224, 224, 3], without a random generator."""
    tiles = (np.arange(14 * 14 * 3, dtype=np.uint64) * 2654435761 % 2**32 >> 24).reshape(14, 14, 3)
    y, x = np.mgrid[0:224, 0:224]
    slopes = np.stack([x * 255 // 223, y * 255 // 223, (x + y) * 255 // 446], -1)
    return np.stack([tiles.repeat(16, 0).repeat(16, 1), slopes]).astype(np.float32)


def png(pixels: NDArray[np.uint8]) -> bytes:
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "png")
    return held.getvalue()


def letterboxed(content: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """In a black square, centred as ingest does."""
    square = np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8)
    height, width = content.shape[:2]
    top, left = (SIDE_PX - height) // 2, (SIDE_PX - width) // 2
    square[top : top + height, left : left + width] = content
    return square


def textured(height: int, width: int) -> NDArray[np.uint8]:
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 7 % 250, y * 5 % 250, (x + 2 * y) % 250], -1).astype(np.uint8) + np.uint8(3)


@pytest.fixture(scope="module")
def backbone() -> Encoder:
    return pretrained(SIDE_PX)


def vectors(made: Encoder, *images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.concatenate(list(made.encode(png(image) for image in images)))


def test_the_backbone_says_what_torch_says() -> None:
    features = np.asarray(lite0.build(pretrained_weights())(pictures(), training=False))
    assert features.shape == (2, 1280)
    for said, (places, values, total) in zip(features, TORCH, strict=True):
        np.testing.assert_allclose(said[list(places)], values, atol=1e-3)
        assert said.sum() == pytest.approx(total, abs=1e-2)


@pytest.mark.parametrize(
    ("height", "width"), [(299, 299), (299, 224), (299, 223), (168, 299), (169, 299), (299, 1), (1, 299)]
)
def test_the_picture_is_seen_without_its_bars(height: int, width: int) -> None:
    content = textured(height, width)
    seen = encoder._without_letterbox(tf.constant(letterboxed(content)))
    alone = tf.image.resize(content, (224, 224), tf.image.ResizeMethod.BICUBIC, antialias=True)
    np.testing.assert_array_equal(seen, tf.clip_by_value(alone, 0.0, 255.0))


def test_black_that_is_no_bar_is_part_of_the_picture() -> None:
    night = letterboxed(textured(299, 299))
    night[:, :40] = 0  # on one side alone
    square = tf.image.resize(night, (224, 224), tf.image.ResizeMethod.BICUBIC, antialias=True)
    np.testing.assert_array_equal(
        encoder._without_letterbox(tf.constant(night)), tf.clip_by_value(square, 0, 255)
    )
    black = np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8)
    assert not np.asarray(encoder._without_letterbox(tf.constant(black))).any()


def test_a_crop_is_nearer_than_another_picture_and_every_vector_has_length_one(backbone: Encoder) -> None:
    one, other = textured(299, 224), pictures()[0].astype(np.uint8)
    same, crop, different = vectors(
        backbone, letterboxed(one), letterboxed(one[:280, :210]), letterboxed(other)
    )
    assert [float(np.linalg.norm(v)) for v in (same, crop, different)] == pytest.approx([1, 1, 1], abs=1e-6)
    assert same @ crop > 0.9 > same @ different


def test_the_same_pictures_give_the_same_vectors_whatever_batch_they_are_in(backbone: Encoder) -> None:
    images = [letterboxed(textured(100 + number, 299)) for number in range(encoder.PRETRAINED_BATCH + 1)]
    together = vectors(backbone, *images)
    assert together.shape == (len(images), backbone.dimensions)
    np.testing.assert_array_equal(together, vectors(backbone, *images))
    np.testing.assert_allclose(together[-1:], vectors(backbone, images[-1]), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "size_px"),
    [("small_cnn", 8), ("small_cnn", 96), ("efficientnet_lite0", 32), ("MobileNetV3Small", 33)],
)
def test_every_network_of_the_trainer_has_features(name: str, size_px: int, tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    model = networks.build(name, size_px, 3)
    model.save(tmp_path / "model.keras")
    made = of_model(tmp_path / "model.keras", size_px)
    image = np.ascontiguousarray(textured(size_px, size_px))
    expected = keras.Model(model.input, model.get_layer("features").output)(image[None].astype(np.float32))
    np.testing.assert_allclose(vectors(made, image), unit_length(np.asarray(expected)), atol=1e-5)
    assert made.dimensions == expected.shape[-1]


def test_a_model_without_features_is_refused(tmp_path: Path) -> None:
    pixels = keras.Input((8, 8, 3))
    plain = keras.Model(pixels, layers.Softmax()(layers.GlobalAveragePooling2D()(pixels)))
    spread = keras.Model(pixels, layers.GlobalAveragePooling2D()(layers.Dense(4)(pixels)))
    for number, (model, said) in enumerate([(plain, "no Dense layer"), (spread, "no vector for each image")]):
        path = tmp_path / f"{number}.keras"
        model.save(path)
        with pytest.raises(ModelRefused, match=said):
            of_model(path, 8)
    with pytest.raises(ModelRefused, match=r"wanted is \(None, 9, 9, 3\)"):
        of_model(tmp_path / "0.keras", 9)
    (tmp_path / "broken.keras").write_bytes(b"<html>")
    with pytest.raises(ModelRefused, match=r"no readable \.keras archive"):
        of_model(tmp_path / "broken.keras", 8)


def test_lengths_are_one_or_nought_and_what_is_not_finite_is_refused() -> None:
    found = unit_length(np.array([[3.0, 4.0], [0.0, 0.0], [1e-30, 0.0]], np.float32))
    assert found.dtype == np.float32
    assert found.tolist() == [pytest.approx(row, abs=1e-7) for row in ([0.6, 0.8], [0, 0], [1, 0])]
    assert unit_length(np.empty((0, 4), np.float32)).shape == (0, 4)
    for wrong in (np.nan, np.inf):
        with pytest.raises(FeaturesRefused, match="row 1 of 2 has a feature that is not finite"):
            unit_length(np.array([[0.0, 1.0], [wrong, 1.0]]))
