"""Which epoch is kept: luck on a small validation side decides nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from contracts.manifests import Epoch
from services.trainer.domain.selection import Standing, has_stalled, standing, worse_by_more_than_luck


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


def curve(*accuracies: float | None, losses: tuple[float, ...] = ()) -> list[Epoch]:
    return [
        Epoch(
            epoch=number,
            loss=losses[number - 1] if losses else 1.0,
            accuracy=0.0,
            val_accuracy=value,
            seconds=1,
        )
        for number, value in enumerate(accuracies, start=1)
    ]


def test_the_last_epoch_that_is_as_good_as_the_best_but_for_luck_is_kept() -> None:
    assert standing(curve(0.2, 0.9, 0.88, 0.3), 100) == Standing(kept=3, improved_at=2)
    assert standing(curve(0.2, 0.9, 0.88, 0.3), 100_000) == Standing(kept=2, improved_at=2)
    assert standing([], 100) == Standing(0, 0)


def test_without_validation_images_the_lowest_loss_is_kept() -> None:
    assert standing(curve(None, None, None, losses=(3, 1, 2)), 0) == Standing(kept=2, improved_at=2)


def test_a_run_has_stalled_after_its_patience_and_waits_anew_when_all_layers_begin_to_learn() -> None:
    flat = curve(0.5, 0.6, 0.6, 0.6, 0.6)
    assert [has_stalled(flat[:done], 100, 2, 0) for done in range(6)] == [False] * 4 + [True] * 2
    assert [has_stalled(flat[:done], 100, 2, 3) for done in range(6)] == [False] * 5 + [True]
    assert not has_stalled(flat, 100, 0, 0)
