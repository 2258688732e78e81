from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from services.dedup.domain.fingerprint import ORIENTATIONS
from services.dedup.domain.sketch import agreement, detail_of, sketch_of


def texture(seed: int) -> NDArray[np.uint8]:
    cells = np.random.default_rng(seed).integers(0, 256, (20, 20), np.uint8)
    return np.asarray(Image.fromarray(cells).resize((64, 64), Image.Resampling.BICUBIC))


def sketch(seed: int) -> bytes:
    return sketch_of(texture(seed)).tobytes()


def test_a_sketch_is_the_rounded_mean_of_two_by_two_pixels() -> None:
    pixels = np.zeros((64, 64), np.uint8)
    pixels[0, :2] = 3, 3
    pixels[62:, 62:] = 255
    made = sketch_of(pixels)
    assert (made[0, 0], made[31, 31], made[5, 5]) == (2, 255, 0)


@pytest.mark.parametrize("place", range(8))
def test_a_turned_picture_agrees_fully_when_turned_the_same_way(place: int) -> None:
    upright = Image.fromarray(sketch_of(texture(1)))
    turned = upright if place == 0 else upright.transpose(Image.Transpose[ORIENTATIONS[place].name])
    assert agreement(sketch(1), turned.tobytes(), place) == pytest.approx(1.0)
    wrong = (place + 1) % 8
    assert (agreement(sketch(1), turned.tobytes(), wrong) or 0.0) < 0.5


def test_different_textures_hardly_agree() -> None:
    assert max(agreement(sketch(1), sketch(seed), 0) or 0.0 for seed in range(2, 40)) < 0.4


def test_light_and_contrast_say_nothing() -> None:
    brighter = (sketch_of(texture(1)) // 2 + 90).astype(np.uint8)
    assert (agreement(sketch(1), brighter.tobytes(), 0) or 0.0) > 0.98


def test_a_shift_of_one_pixel_hardly_matters() -> None:
    wide = np.asarray(Image.fromarray(texture(1)).resize((66, 64)))
    one, other = sketch_of(wide[:, :64]).tobytes(), sketch_of(wide[:, 2:]).tobytes()
    assert (agreement(one, other, 0) or 0.0) > 0.9


def test_a_spoilt_corner_is_outvoted() -> None:
    spoilt = texture(1).copy()
    spoilt[:16, :24] = 255
    assert (agreement(sketch(1), sketch_of(spoilt).tobytes(), 0) or 0.0) > 0.8


@pytest.mark.parametrize("slope", [0, 1, 3])
def test_where_nothing_is_to_be_seen_there_is_no_answer(slope: int) -> None:
    pixels = (np.arange(64, dtype=np.uint8) * slope)[None, :].repeat(64, axis=0)
    assert agreement(sketch_of(pixels).tobytes(), sketch_of(pixels).tobytes(), 0) is None


def test_detail_is_the_share_beside_the_commonest_grey() -> None:
    pixels = np.full((32, 32), 200, np.uint8)
    assert detail_of(pixels) == 0.0
    pixels[:8] = np.arange(32) * 8 % 190
    pixels[31] = 204  # JPEG does that to paper
    assert detail_of(pixels) == pytest.approx(0.25)
