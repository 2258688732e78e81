"""Each defect raises its flag, and a good picture raises none."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from contracts.values import Measure, QualityFlag, RejectCode
from services.ingest.domain.normalise import normalise
from services.ingest.domain.picture import Normalised, PictureRules, Rejection
from services.ingest.domain.quality.flags import DEFAULT_LIMITS, RULES, QualityLimits, flags, refusal
from services.ingest.domain.quality.measures import measure
from tests.support import defects
from tests.support.defects import Defect
from tests.support.pictures import animated, encoded, noise, with_orientation

SIZE_PX = 299
DEFECTS: dict[str, tuple[Defect, set[QualityFlag]]] = {
    "out of focus": (lambda image: defects.out_of_focus(image, 0.006), {QualityFlag.BLURRY}),
    "moved level": (lambda image: defects.moved(image, 0.04, 0), {QualityFlag.BLURRY}),
    "moved upwards": (lambda image: defects.moved(image, 0.04, 90), {QualityFlag.BLURRY}),
    "moved at a slant": (lambda image: defects.moved(image, 0.04, 40), {QualityFlag.BLURRY}),
    "dark": (lambda image: defects.exposed(image, -3), {QualityFlag.DARK}),
    "contrast squeezed": (lambda image: defects.squeezed(image, 0.2), {QualityFlag.LOW_CONTRAST}),
    "fog": (lambda image: defects.fogged(image, 0.8), {QualityFlag.LOW_CONTRAST}),
    "too small": (lambda image: defects.shrunk(image, 120), {QualityFlag.TINY}),
    "a strip": (lambda image: defects.strip(image, 4), {QualityFlag.EXTREME_ASPECT}),
    "letterboxed": (lambda image: defects.framed(image, 0, 0.1, (0, 0, 0)), {QualityFlag.BORDERED}),
    "bars at the sides": (
        lambda image: defects.framed(image, 0.1, 0, (255, 255, 255)),
        {QualityFlag.BORDERED},
    ),
    "framed": (lambda image: defects.framed(image, 0.03, 0.03, (200, 30, 90)), {QualityFlag.BORDERED}),
    "a wall": (lambda image: defects.nothing(image, 3), {QualityFlag.NEAR_UNIFORM, QualityFlag.LOW_CONTRAST}),
}


@cache
def photographs() -> dict[str, Image.Image]:
    return defects.samples()


def values_of(image: Image.Image) -> dict[str, float]:
    return {item.name: item.value for item in measure(image, image.size, SIZE_PX)}


def flags_of(image: Image.Image) -> set[QualityFlag]:
    return {item.flag for item in flags(measure(image, image.size, SIZE_PX), DEFAULT_LIMITS)}


@pytest.mark.parametrize("photo", ["china", "flower"])
def test_a_good_photograph_raises_no_flag(photo: str) -> None:
    assert flags_of(photographs()[photo]) == set()


@pytest.mark.parametrize("photo", ["china", "flower"])
@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_raises_its_flag_and_no_other(defect: str, photo: str) -> None:
    plant, expected = DEFECTS[defect]
    found = flags_of(defects.as_jpeg(plant(photographs()[photo])))
    assert expected <= found <= expected | {QualityFlag.DARK}  # the flower's levels are dark when squeezed


def test_too_much_light_raises_over_exposed() -> None:
    assert flags_of(defects.exposed(photographs()["china"], 2)) == {QualityFlag.OVER_EXPOSED}


def test_light_from_behind_raises_back_lit() -> None:
    assert flags_of(defects.lit_from_behind(photographs()["china"], -4, 1.5)) == {QualityFlag.BACK_LIT}


def test_a_sharp_subject_before_a_blurred_background_is_no_blur() -> None:
    flower = photographs()["flower"]
    mask = Image.new("L", flower.size)
    mask.paste(255, (250, 100, 400, 250))
    portrait = Image.composite(flower, defects.out_of_focus(flower, 0.02), mask)
    assert QualityFlag.BLURRY not in flags_of(portrait)


def test_a_small_picture_that_was_enlarged_is_blurry_instead_of_tiny() -> None:
    small = defects.shrunk(photographs()["china"], 40)
    assert flags_of(small.resize((640, 427), Image.Resampling.BICUBIC)) == {QualityFlag.BLURRY}
    assert QualityFlag.TINY in flags_of(small)


def test_borders_do_not_count_as_dark_or_as_contrast() -> None:
    china = photographs()["china"]
    inside, outside = values_of(china), values_of(defects.framed(china, 0, 0.15, (0, 0, 0)))
    for name in ("bright_level", "luma_range", "clipped_share", "back_light"):
        assert outside[name] == pytest.approx(inside[name], abs=0.03 * 255 if inside[name] > 1 else 0.03)


def test_a_white_sky_is_no_border() -> None:
    china = photographs()["china"]
    sky = china.copy()
    sky.paste((255, 255, 255), (0, 0, sky.width, 60))
    land = Image.new("L", china.size)
    for column in range(china.width):
        land.paste(255, (column, int(30 + 25 * np.sin(column / 40)), column + 1, china.height))
    assert values_of(Image.composite(china, sky, land))["border_share"] == 0


@pytest.mark.parametrize("photo", ["china", "flower"])
@pytest.mark.parametrize("longer_px", [2560, 1280, 500, 320])
def test_measures_hardly_depend_on_the_resolution(photo: str, longer_px: int) -> None:
    original = photographs()[photo]
    size = (longer_px, round(longer_px * original.height / original.width))
    here, there = values_of(original), values_of(original.resize(size, Image.Resampling.LANCZOS))
    assert there.pop("enlargement") == pytest.approx(SIZE_PX / longer_px, abs=1e-3)
    for name, value in there.items():
        slack = {"bright_level": 4, "luma_range": 6, "smoothness": 0.12, "aspect_ratio": 0.01}.get(name, 0.03)
        assert value == pytest.approx(here[name], abs=slack), name


@given(
    width=st.sampled_from([1, 2, 3, 15, 16, 17, 36, 255, 256, 257, 700]),
    height=st.sampled_from([1, 2, 3, 15, 16, 17, 36, 255, 256, 257, 700]),
    seed=st.integers(0, 9), levels=st.sampled_from([1, 2, 30, 256]),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_any_size_and_content_is_measured_and_the_same_each_time(
    width: int, height: int, seed: int, levels: int
) -> None:
    pixels = np.random.default_rng(seed).integers(0, levels, (height, width, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    found = measure(image, image.size, SIZE_PX)
    assert found == measure(image, image.size, SIZE_PX)
    assert [item.name for item in found] == sorted(item.name for item in found)
    assert all(np.isfinite(item.value) for item in found)
    values = {item.name: item.value for item in found}
    assert all(0 <= values[name] <= 1 for name in ("back_light", "border_share", "clipped_share"))


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "CMYK", "I;16"])
@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (64, 48)])
def test_every_mode_and_size_that_decodes_is_measured(mode: str, size: tuple[int, int]) -> None:
    rules = PictureRules(64, 32, 4_000_000)
    picture = normalise(encoded(Image.new(mode, size), "TIFF"), rules)
    assert isinstance(picture, Normalised)
    assert {"aspect_ratio", "bright_level", "luma_range"} <= {item.name for item in picture.quality}


def test_a_photograph_on_its_side_is_measured_upright() -> None:
    rules = PictureRules(64, 32, 4_000_000)
    china = photographs()["china"]
    upright = normalise(encoded(china), rules)
    turned = normalise(with_orientation(china.transpose(Image.Transpose.ROTATE_90), 6, "PNG"), rules)
    assert isinstance(upright, Normalised)
    assert isinstance(turned, Normalised)
    assert turned.quality == upright.quality


def test_the_size_of_the_file_counts_and_not_that_of_a_draft() -> None:
    large = photographs()["flower"].resize((2560, 1708))
    sink = io.BytesIO()
    large.save(sink, "JPEG")
    picture = normalise(sink.getvalue(), PictureRules(64, 32, 8_000_000))
    assert isinstance(picture, Normalised)
    assert Measure(name="enlargement", value=0.025) in picture.quality


def test_an_animation_is_flagged_as_one_frame_of_it() -> None:
    limits = PictureRules(20, 16, 4_000_000)
    picture = normalise(animated("GIF"), limits)
    assert isinstance(picture, Normalised)
    assert [(item.flag, item.value) for item in picture.flags if item.flag == QualityFlag.ANIMATED] == [
        (QualityFlag.ANIMATED, 1)
    ]


def test_a_value_at_its_limit_is_no_flag() -> None:
    for rule in RULES:
        at = Measure(name=rule.measure, value=getattr(DEFAULT_LIMITS, rule.limit))
        assert rule.flag not in {item.flag for item in flags([at], DEFAULT_LIMITS)}


def test_a_flag_tells_the_value_and_the_threshold_of_then() -> None:
    [flag] = flags([Measure(name="enlargement", value=3)], QualityLimits(tiny_above_enlargement=2.5))
    assert (flag.flag, flag.value, flag.threshold) == (QualityFlag.TINY, 3, 2.5)


def test_a_refused_flag_rejects_with_measure_value_threshold_and_remedy() -> None:
    rules = PictureRules(299, 32, 4_000_000, reject_flags=(QualityFlag.TINY, QualityFlag.DARK))
    assert normalise(encoded(noise(40, 30)), rules) == Rejection(
        RejectCode.QUALITY, "tiny: enlargement 7.475 is above 2; upload the picture in its full size"
    )
    assert isinstance(normalise(encoded(noise(299, 200)), rules), Normalised)


def test_every_flag_can_be_refused_with_a_reason() -> None:
    for rule in RULES:
        beyond = getattr(DEFAULT_LIMITS, rule.limit) + (1 if rule.beyond == "above" else -1)
        raised = flags([Measure(name=rule.measure, value=beyond)], DEFAULT_LIMITS)
        reason = refusal(raised, [rule.flag])
        assert reason is not None
        assert reason.startswith(f"{rule.flag}: {rule.measure} ")
        assert reason.endswith(rule.remedy)
    assert refusal(flags([], DEFAULT_LIMITS, animated=True), [QualityFlag.ANIMATED]) is not None
    assert refusal(flags([], DEFAULT_LIMITS, animated=True), [QualityFlag.TINY]) is None
