"""Random flips, turns, zooms and shifts do what they say, and nothing when told to do nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.trainer.fitting.augmentation import Augmentation

NOTHING = Augmentation(flip=False, rotate_degrees=0, zoom_share=0, shift_share=0)


def pictures(count: int = 6, size: int = 17) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def test_nothing_asked_changes_nothing() -> None:
    images = pictures()
    np.testing.assert_array_equal(NOTHING.apply(images, np.random.default_rng(0)), images)


def test_a_flip_mirrors_left_and_right_about_half_of_the_images() -> None:
    images = pictures(40)
    flipped = Augmentation(True, 0, 0, 0).apply(images, np.random.default_rng(0))
    mirrored = [bool((one == two[:, ::-1]).all()) for one, two in zip(flipped, images, strict=True)]
    same = [bool((one == two).all()) for one, two in zip(flipped, images, strict=True)]
    assert all(one != two for one, two in zip(mirrored, same, strict=True))
    assert 10 < sum(mirrored) < 30


def test_a_turned_zoomed_shifted_subject_stays_near_the_middle_on_black() -> None:
    images = np.zeros((50, 41, 41, 3), np.uint8)
    images[:, 16:25, 16:25] = 255
    changed = Augmentation(True, 30, 0.2, 0.1).apply(images, np.random.default_rng(0))
    rows, columns = np.indices((41, 41))
    for image in changed[..., 0].astype(float):
        middle = ((image * rows).sum() / image.sum(), (image * columns).sum() / image.sum())
        assert max(abs(value - 20) for value in middle) <= 41 * 0.1 * 1.25 + 0.5
        assert 81 * 0.6 < image.sum() / 255 < 81 * 1.7
    assert changed[:, 0].max() == 0
    assert len({image.tobytes() for image in changed}) > 40


def test_the_same_random_state_gives_the_same_images() -> None:
    change, images = Augmentation(True, 20, 0.1, 0.1), pictures()
    one, two = (change.apply(images, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one, two)
