"""Random flips, turns, zooms and shifts do what they say, and nothing when told to do nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from services.trainer.fitting.augmentation import Augmentation, filled_share

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


def framed(height: int, width: int, size: int = 41, level: int = 255) -> NDArray[np.uint8]:
    """A grey picture of that size in the middle of a black frame, [1, S, S, 3]."""
    image = np.zeros((1, size, size, 3), np.uint8)
    top, left = (size - height) // 2, (size - width) // 2
    image[:, top : top + height, left : left + width] = level
    return image


def test_the_share_that_a_picture_fills_is_measured_without_its_black_bars() -> None:
    images = np.concatenate([framed(41, 41), framed(20, 41), framed(9, 9), framed(20, 41, level=3)])
    np.testing.assert_allclose(filled_share(images), [1, 20 / 41, 81 / 41**2, 1])
    dots = np.zeros((1, 41, 41, 3), np.uint8)
    dots[0, 3, 5], dots[0, 30, 7, 1] = 90, 90
    assert filled_share(dots)[0] == 28 * 3 / 41**2


def test_a_picture_that_fills_little_of_its_frame_is_zoomed_in_and_never_out() -> None:
    zoomed = Augmentation(False, 0, 0.2, 0)

    def areas(image: NDArray[np.uint8]) -> NDArray[np.float64]:
        changed = zoomed.apply(np.repeat(image, 60, axis=0), np.random.default_rng(3))
        return changed[..., 0].astype(float).sum(axis=(1, 2)) / image[..., 0].sum()

    small, large = areas(framed(15, 15)), areas(framed(35, 35))
    assert 0.99 < small.min() < 1.1
    assert 1.3 < small.max() < 1.2**2 + 0.1
    assert large.min() < 0.75


def test_a_picture_is_changed_alike_whatever_its_neighbours_are() -> None:
    change, images = Augmentation(True, 20, 0.1, 0.1), pictures(3, 41)
    beside = np.concatenate([images[:2], framed(9, 9)])
    one, two = (change.apply(batch, np.random.default_rng(5)) for batch in (images, beside))
    np.testing.assert_array_equal(one[:2], two[:2])


def test_a_batch_is_changed_by_threads_side_by_side_as_by_one() -> None:
    change, images = Augmentation(True, 20, 0.1, 0.1), pictures(20, 41)

    def changed(seed: int) -> bytes:
        return change.apply(images, np.random.default_rng(seed)).tobytes()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(changed, range(12))) == [changed(seed) for seed in range(12)]
