"""What people say of pairs, and take back, on SQLite in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from contracts.commands import ResolveDuplicate
from contracts.values import DuplicateVerdict, PairState
from services.dedup.domain.faults import ActionRefused, NotYetKnown
from tests.support.dedup_desk import AT, Desk, database
from tests.support.dedup_model import image


@pytest.fixture
def engine() -> Iterator[sa.Engine]:
    with database() as made:
        yield made


@pytest.fixture
def desk(engine: sa.Engine) -> Desk:
    return Desk(engine)


def test_the_kept_image_is_the_original_whenever_it_came(desk: Desk) -> None:
    early, late = image(1, 0), image(2, 0b11)
    desk.accept(early, late)
    desk.resolve(early, late, keep=late)
    assert desk.verdict_of(early) == ("near", late.image_id, late.image_id)
    assert desk.verdicts()[early.image_id].by == "ann"
    assert desk.verdict_of(late)[0] is DuplicateVerdict.UNIQUE


def test_who_was_dropped_for_one_and_kept_over_another_stands_between_them(desk: Desk) -> None:
    best, middle, worst = image(3, 0), image(2, 0b11), image(1, 0b1111)
    desk.accept(best, middle, worst)
    desk.resolve(best, middle, keep=best)
    desk.resolve(middle, worst, keep=middle)
    assert [desk.verdict_of(made)[2] for made in (best, middle, worst)] == [
        None, best.image_id, middle.image_id,
    ]  # fmt: skip


def test_both_that_a_person_kept_stay_and_are_never_offered_again(desk: Desk) -> None:
    one, other = image(1, 0), image(2, 0b1)
    desk.accept(one, other)
    assert desk.verdict_of(other)[0] is DuplicateVerdict.NEAR
    desk.resolve(one, other)
    assert desk.verdict_of(other)[0] is DuplicateVerdict.UNIQUE
    desk.reject(one)
    desk.bring_back(one)
    assert desk.propose((one, other, PairState.AUTOMATIC, 0.99)) == 0
    assert desk.state_of(one, other) is PairState.NOT_DUPLICATE
    assert desk.verdict_of(other)[0] is DuplicateVerdict.UNIQUE


def test_an_undo_restores_what_was_before_whatever_came_in_between(desk: Desk) -> None:
    first, second, third = image(1, 0), image(2, 0b11), image(3, 0b1)
    desk.accept(first, second, third)
    resolved = desk.resolve(first, second, keep=second)
    desk.resolve(first, third)
    desk.undo(resolved)
    assert desk.state_of(first, second) is PairState.REVIEW
    desk.check()


def test_a_later_word_on_a_pair_replaces_an_earlier_one_and_its_undo_brings_that_back(desk: Desk) -> None:
    one, other = image(1, 0), image(2, 0b11)
    desk.accept(one, other)
    desk.resolve(one, other, keep=one)
    later = desk.resolve(one, other)
    assert desk.state_of(one, other) is PairState.NOT_DUPLICATE
    desk.undo(later)
    assert desk.state_of(one, other) is PairState.DUPLICATE
    desk.check()


def test_the_same_request_twice_has_the_same_outcome_and_no_second_effect(desk: Desk) -> None:
    one, other = image(1, 0), image(2, 0b11)
    desk.accept(one, other)
    command = desk.resolve(one, other, keep=one)
    messages = desk.said()
    again = desk.do(lambda unit: desk.resolving.perform(unit, command, AT))
    assert (again["state"], again["keep"], desk.said()) == ("duplicate", one.image_id, messages)


def test_what_cannot_be_resolved_is_refused_with_the_reason(desk: Desk) -> None:
    one, other = image(1, 0), image(2, 0b11)
    desk.accept(one)
    with pytest.raises(NotYetKnown, match=f"image {other.image_id} is unknown"):
        desk.resolve(one, other)
    desk.accept(other)
    unheard = ResolveDuplicate(
        request_id="never-heard", image_id="0" * 64, other_id="1" * 64, by="ann", requested_at=AT
    )
    with pytest.raises(NotYetKnown, match="nothing was resolved under request_id 'never-heard'"):
        desk.undo(unheard)
    command = desk.resolve(one, other)
    desk.undo(command)
    with pytest.raises(ActionRefused, match="was taken back by") as refused:
        desk.undo(command)
    assert refused.value.status == 409
