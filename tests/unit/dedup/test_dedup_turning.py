from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from contracts.values import Orientation
from services.dedup.domain.fingerprint import Fingerprint, of_grey
from services.dedup.domain.turning import BACK, ORIENTATIONS, as_turned, turned_distances, turned_hashes


def picture(seed: int) -> Image.Image:
    blobs = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (9, 9), np.uint8))
    return blobs.resize((128, 128), Image.Resampling.BICUBIC)


def turned_by(image: Image.Image, orientation: Orientation) -> Image.Image:
    if orientation is Orientation.SAME:
        return image
    return image.transpose(Image.Transpose[orientation.name])


def apart(one: Fingerprint, other: Fingerprint) -> list[int]:
    assert one.turned is not None
    assert other.turned is not None
    return turned_distances(as_turned([one.turned]), as_turned([other.turned]))[0].tolist()


@pytest.mark.parametrize("orientation", Orientation)
def test_the_orientation_of_the_smallest_distance_is_how_the_one_has_to_be_turned(
    orientation: Orientation,
) -> None:
    one, other = of_grey(picture(1)), of_grey(turned_by(picture(1), orientation))
    distances = apart(one, other)
    assert ORIENTATIONS[distances.index(min(distances))] is orientation
    assert min(distances) <= 8


def test_both_images_see_the_same_distances() -> None:
    one, other = of_grey(picture(1)), of_grey(picture(2))
    seen_by_other = dict(zip(ORIENTATIONS, apart(other, one), strict=True))
    assert apart(one, other) == [seen_by_other[BACK[orientation]] for orientation in ORIENTATIONS]


def test_a_hash_can_be_turned_without_its_picture() -> None:
    made = of_grey(picture(3))
    assert made.hash is not None
    assert made.turned is not None
    rebuilt, kept = (as_turned([hashes])[0] for hashes in (turned_hashes(made.hash), made.turned))
    assert np.bitwise_count(rebuilt ^ kept).sum(axis=1).max() <= 24
    assert rebuilt[0].tobytes() == made.hash
