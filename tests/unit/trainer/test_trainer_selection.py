"""Which epoch is kept: luck on a small validation side decides nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.trainer.domain.selection import worse_by_more_than_luck


def test_two_images_of_121_are_luck_and_six_are_not() -> None:
    assert not worse_by_more_than_luck(118 / 121, 120 / 121, 121)
    assert worse_by_more_than_luck(114 / 121, 120 / 121, 121)


def test_a_perfect_small_side_still_allows_for_luck() -> None:
    assert not worse_by_more_than_luck(27 / 28, 1.0, 28)


def test_on_20_000_images_half_a_percent_is_no_luck() -> None:
    assert worse_by_more_than_luck(0.975, 0.980, 20_000)


@given(st.integers(1, 1000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
def test_an_epoch_as_good_as_the_best_is_never_worse(counts: tuple[int, int]) -> None:
    images, right = counts
    assert not worse_by_more_than_luck(right / images, right / images, images)
