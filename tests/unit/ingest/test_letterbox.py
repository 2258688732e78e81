"""Fitting a picture into a square."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from services.ingest.domain.letterbox import content_box, fit
from services.ingest.domain.normalise import normalise
from services.ingest.domain.picture import Normalised, PictureRules
from tests.support.pictures import decoded, encoded

SIDES = st.integers(1, 60_000)


@given(width=SIDES, height=SIDES, side=st.integers(1, 2048))
@example(width=40_000, height=1, side=299)
def test_a_fitted_picture_keeps_its_aspect_ratio_and_touches_the_square(
    width: int, height: int, side: int
) -> None:
    fitted = fit(width, height, side)
    scale = side / max(width, height)
    assert max(fitted) == side
    for got, source in zip(fitted, (width, height), strict=True):
        assert abs(got - max(1.0, source * scale)) <= 0.5 + 1e-6


@given(width=SIDES, height=SIDES, side=st.integers(1, 2048))
def test_the_content_box_is_centred_inside_the_square(width: int, height: int, side: int) -> None:
    box = content_box(width, height, side)
    assert box.left + box.width <= side
    assert box.top + box.height <= side
    assert 0 <= side - box.width - 2 * box.left <= 1
    assert 0 <= side - box.height - 2 * box.top <= 1


@given(width=st.integers(1, 90), height=st.integers(1, 90), side=st.integers(8, 48))
def test_the_picture_fills_its_box_and_the_rest_is_black(width: int, height: int, side: int) -> None:
    rules = PictureRules(side, 16, 10_000)
    result = normalise(encoded(Image.new("RGB", (width, height), "white")), rules)
    assert isinstance(result, Normalised)
    square = decoded(result.png)
    box = result.content
    assert square.size == (side, side)
    inside = (box.left, box.top, box.left + box.width, box.top + box.height)
    assert square.crop(inside).getextrema() == ((255, 255),) * 3
    square.paste((0, 0, 0), inside)
    assert square.getbbox() is None
