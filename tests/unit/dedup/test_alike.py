from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw

from contracts.values import Orientation
from services.dedup.domain.alike import Likeness, Limits, likeness
from services.dedup.domain.fingerprint import ORIENTATIONS, Fingerprint, of_grey
from services.dedup.domain.turning import BACK, as_turned, turned_distances
from tests.support.altered_pictures import banner, centre_text, cropped, encoded, resized

LIMITS = Limits()


def scene(seed: int) -> Image.Image:
    """Coarse and fine texture, as in a photo of leaves."""
    chance = np.random.default_rng(seed)
    coarse, fine = (
        Image.fromarray(chance.integers(0, 256, (cells, cells, 3), np.uint8)).resize(
            (300, 220), Image.Resampling.BICUBIC
        )
        for cells in (7, 28)
    )
    return Image.blend(coarse, fine, 0.5)


def bird(offset: int) -> Image.Image:
    """A small thing before an empty sky."""
    sky = Image.new("RGB", (300, 220), (140, 160, 200))
    ImageDraw.Draw(sky).polygon([(140, 100), (180 + offset, 80), (170, 120 + offset)], (20, 20, 20))
    return sky


def made_of(image: Image.Image) -> Fingerprint:
    return of_grey(image.convert("L"))


def said(one: Fingerprint, other: Fingerprint, limits: Limits = LIMITS) -> Likeness:
    """In the orientation in which the hashes are nearest."""
    bits = turned_distances(as_turned([one.turned or b""]), as_turned([other.turned or b""]))[0]
    nearest = int(bits.argmin())
    return likeness(one, other, int(bits[nearest]), ORIENTATIONS[nearest], limits)


@pytest.mark.parametrize("seed", range(4))
def test_a_mildly_changed_copy_is_a_duplicate_without_asking(seed: int) -> None:
    photo, chance = scene(seed), np.random.default_rng(seed)
    for alter in (resized(0.5), encoded("JPEG", 40)):
        assert said(made_of(photo), made_of(alter(photo, chance))) is Likeness.AUTOMATIC


@pytest.mark.parametrize("alter", [centre_text, banner, cropped(0.025)], ids=["text", "banner", "crop"])
def test_a_watermarked_or_cropped_copy_is_found(alter: object) -> None:
    photo = scene(1)
    assert callable(alter)
    copy = alter(photo, np.random.default_rng(1))
    assert said(made_of(photo), made_of(copy)) is not Likeness.NONE


@pytest.mark.parametrize("orientation", [o for o in Orientation if o is not Orientation.SAME])
def test_a_turned_copy_is_a_duplicate_without_asking(orientation: Orientation) -> None:
    photo = scene(2)
    copy = photo.transpose(Image.Transpose[orientation.name])
    assert said(made_of(photo), made_of(copy)) is Likeness.AUTOMATIC


def test_pictures_that_share_a_hash_but_not_their_parts_are_not_alike() -> None:
    one, other = made_of(scene(3)), made_of(scene(4))
    assert likeness(one, other, 40, Orientation.SAME, LIMITS) is Likeness.NONE


def test_the_closer_look_cannot_make_far_hashes_a_duplicate() -> None:
    one = made_of(scene(3))
    assert likeness(one, one, LIMITS.automatic_bits, Orientation.SAME, LIMITS) is Likeness.AUTOMATIC
    assert likeness(one, one, LIMITS.automatic_bits + 1, Orientation.SAME, LIMITS) is Likeness.REVIEW
    assert likeness(one, one, LIMITS.search_bits + 1, Orientation.SAME, LIMITS) is Likeness.NONE


@pytest.mark.parametrize("orientation", Orientation)
def test_the_likeness_is_the_same_from_both_sides(orientation: Orientation) -> None:
    one, other = made_of(scene(5)), made_of(cropped(0.04)(scene(5), np.random.default_rng(5)))
    limits = [replace(LIMITS, review_agreement=step / 40) for step in range(41)]
    forth = [likeness(one, other, 60, orientation, limit) for limit in limits]
    assert forth == [likeness(other, one, 60, BACK[orientation], limit) for limit in limits]


@pytest.mark.parametrize(
    ("bits", "expected"),
    [(24, Likeness.AUTOMATIC), (25, Likeness.REVIEW), (36, Likeness.REVIEW), (37, Likeness.NONE)],
)
def test_what_is_mostly_background_needs_nearer_hashes(bits: int, expected: Likeness) -> None:
    one, other = made_of(bird(0)), made_of(bird(30))
    assert one.detail < LIMITS.low_detail
    assert likeness(one, other, bits, Orientation.SAME, LIMITS) is expected
    assert likeness(made_of(scene(1)), other, bits, Orientation.SAME, LIMITS) is expected


def test_a_turned_picture_that_is_mostly_background_is_left_to_people() -> None:
    one = made_of(bird(0))
    bits = LIMITS.low_detail_turned_bits
    assert likeness(one, one, bits, Orientation.ROTATE_180, LIMITS) is Likeness.REVIEW
    assert likeness(one, one, bits + 1, Orientation.ROTATE_180, LIMITS) is Likeness.NONE


@pytest.mark.parametrize(
    ("orientation", "automatic", "review"),
    [(Orientation.SAME, 72, 80), (Orientation.FLIP_LEFT_RIGHT, 64, 72)],
)
def test_without_a_sketch_the_hashes_decide_alone(
    orientation: Orientation, automatic: int, review: int
) -> None:
    one, other = replace(made_of(scene(1)), sketch=None), made_of(scene(2))
    told = [
        likeness(one, other, bits, orientation, LIMITS)
        for bits in (automatic, automatic + 1, review, review + 1)
    ]
    assert told == [Likeness.AUTOMATIC, Likeness.REVIEW, Likeness.REVIEW, Likeness.NONE]


def test_nothing_beyond_the_reach_of_a_picture_is_like_it() -> None:
    pictures = (made_of(bird(0)), made_of(scene(1)), replace(made_of(scene(1)), sketch=None))
    for made in pictures:
        reach = LIMITS.reach_bits(made)
        assert reach <= LIMITS.search_bits
        for other in pictures:
            for orientation in Orientation:
                assert likeness(made, other, reach + 1, orientation, LIMITS) is Likeness.NONE
