"""What is done about pairs whose vectors are alike."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from contracts.values import PairState
from services.dedup.domain.thresholds import Threshold
from services.dedup.vectors.proposing import LEAST_REVIEWED, Facts, proposed, reviewed_at_most
from services.dedup.vectors.search import Alike


def limits(automatic: float | None, review: float = 0.8, class_name: str | None = None) -> Threshold:
    return Threshold(class_name, "vectors", automatic, review, None, None, 0, 0, False, False)


def pair(number: int, similarity: float) -> Alike:
    return Alike(f"{number:03}a", f"{number:03}b", similarity)


def states(
    similarity: float, known: Facts | None, *learnt: Threshold, at_most: int | None = None
) -> list[PairState]:
    one = pair(1, similarity)
    facts = {} if known is None else {one[:2]: known}
    return [state for _, state in proposed([one], facts, learnt, at_most)]


def test_what_is_alike_enough_goes_to_review_and_what_is_surely_alike_needs_nobody() -> None:
    assert states(0.79, Facts(), limits(0.95)) == []
    assert states(0.80, Facts(), limits(0.95)) == [PairState.REVIEW]
    assert states(0.95, Facts(), limits(0.95)) == [PairState.AUTOMATIC]
    assert states(1.0, Facts(), limits(None)) == [PairState.REVIEW]


def test_a_class_goes_by_its_own_limits() -> None:
    learnt = (limits(0.9), limits(None, 0.97, "fox"))
    assert states(0.95, Facts("fox"), *learnt) == []
    assert states(0.98, Facts("fox"), *learnt) == [PairState.REVIEW]
    assert states(0.95, Facts("deer"), *learnt) == [PairState.AUTOMATIC]


def test_bursts_and_plain_pictures_are_never_automatic() -> None:
    assert states(1.0, Facts(burst=True), limits(0.9)) == [PairState.REVIEW]
    assert states(1.0, Facts(plain=True), limits(0.9)) == [PairState.REVIEW]


def test_settled_and_unknown_pairs_are_left_alone() -> None:
    assert states(1.0, Facts(settled=True), limits(0.9)) == []
    assert states(1.0, None, limits(0.9)) == []


@given(st.lists(st.tuples(st.floats(0.8, 1.0), st.booleans()), max_size=30), st.integers(0, 10))
def test_people_get_the_most_alike_and_no_more_than_allowed(
    drawn: list[tuple[float, bool]], at_most: int
) -> None:
    found = [pair(number, similarity) for number, (similarity, _) in enumerate(drawn)]
    facts = {p[:2]: Facts(burst=burst) for p, (_, burst) in zip(found, drawn, strict=True)}
    taken = {p for p, _ in proposed(found, facts, [limits(None)], at_most)}
    asked = [p for p in found if not facts[p[:2]].burst]
    assert {p for p in found if facts[p[:2]].burst} <= taken
    assert len(taken.intersection(asked)) == min(at_most, len(asked))
    if left := set(asked) - taken:
        assert (
            min(p.similarity for p in taken.intersection(asked) or asked) >= max(p.similarity for p in left)
            or not at_most
        )


def test_a_small_file_may_bring_a_few() -> None:
    assert (reviewed_at_most(0, 100), reviewed_at_most(1000, 100), reviewed_at_most(1001, 100)) == (
        LEAST_REVIEWED,
        100,
        101,
    )
