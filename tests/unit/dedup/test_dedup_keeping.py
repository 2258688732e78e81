from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.dedup.domain.keeping import Worth, kept_tiers, suggested_keep

CHOICES = st.lists(
    st.tuples(st.sampled_from("abcdefg"), st.sampled_from("abcdefg")).filter(lambda c: c[0] != c[1])
)


def worth(image_id: str, side_px: int | None = 100, smoothness: float | None = 0.5) -> Worth:
    return Worth(image_id, f"upload-{image_id}", side_px, side_px, smoothness)


def test_the_larger_then_the_sharper_then_the_earlier_is_suggested() -> None:
    assert suggested_keep(worth("a"), worth("b", 200)) == "b"
    assert suggested_keep(worth("a", 100, 0.5), worth("b", 100, 0.4)) == "b"
    assert suggested_keep(worth("b"), worth("a")) == "a"


def test_an_image_of_unknown_size_is_not_suggested() -> None:
    assert suggested_keep(worth("a", None, None), worth("b", 1, None)) == "b"


def test_kept_images_stand_at_the_top_and_those_below_them_in_order() -> None:
    assert kept_tiers([("a", "b"), ("b", "c"), ("c", "d")]) == {"a": 0, "b": 1, "c": 2}
    assert kept_tiers([("x", "y")]) == {"x": 0}


def test_the_oldest_choice_of_a_circle_is_left_out() -> None:
    assert kept_tiers([("a", "b"), ("b", "c"), ("c", "a")]) == {"a": 0, "b": 1}


@given(CHOICES)
def test_what_was_dropped_always_ranks_behind_what_it_was_dropped_for(choices: list[tuple[str, str]]) -> None:
    tiers = kept_tiers(choices)
    newest: list[tuple[str, str]] = []
    for keep, dropped in choices:  # without a circle every choice holds
        if not _circle([*newest, (keep, dropped)]):
            newest.append((keep, dropped))
    for keep, dropped in newest:
        assert tiers[keep] < tiers.get(dropped, 99)


def _circle(choices: list[tuple[str, str]]) -> bool:
    above = {keep: {dropped for k, dropped in choices if k == keep} for keep, _ in choices}
    for start, below in above.items():
        waiting, seen = list(below), set()
        while waiting:
            current = waiting.pop()
            if current == start:
                return True
            if current not in seen:
                seen.add(current)
                waiting.extend(above.get(current, ()))
    return False
