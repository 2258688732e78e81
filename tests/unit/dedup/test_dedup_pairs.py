from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from contracts.values import PairState
from services.dedup.domain.alike import Likeness
from services.dedup.domain.pairs import (
    REVIEW_PAIRS,
    Candidate,
    Moment,
    Proposal,
    Word,
    listed,
    pair_state,
    same_burst,
)

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEEP, BOTH = Word("a" * 64, "ann", None, "request-1", AT), Word(None, "ann", None, "request-2", AT)


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        (Moment("ann", None, AT), Moment("ann", None, AT + timedelta(seconds=60)), True),
        (Moment("ann", None, AT), Moment("ann", None, AT - timedelta(seconds=61)), False),
        (Moment("ann", "monday", None), Moment("ann", "monday", None), True),
        (Moment("ann", "monday", None), Moment("bob", "monday", None), False),
        (Moment(None, "monday", None), Moment(None, "monday", None), True),
        (Moment(None, None, AT), Moment(None, None, AT), False),
        (Moment("ann", "monday", AT), Moment("ann", "tuesday", AT), True),
        (Moment("ann", None, None), Moment("ann", None, None), False),
    ],
)
def test_a_burst_is_of_one_guest_and_one_visit_or_minute(one: Moment, other: Moment, together: bool) -> None:
    assert same_burst(one, other) is same_burst(other, one) is together


def test_the_nearest_are_listed_and_photos_of_the_burst_take_nobody_s_place() -> None:
    near = [Candidate(10 + n, "upload-1", f"near-{n:02}", burst=False) for n in range(REVIEW_PAIRS + 5)]
    burst = [Candidate(1, "upload-1", f"burst-{n:02}", burst=True) for n in range(REVIEW_PAIRS + 5)]
    kept = listed([*reversed(near), *burst])
    assert {name for name in kept if name.startswith("near")} == {c.image_id for c in near[:REVIEW_PAIRS]}
    assert len(kept) == 2 * REVIEW_PAIRS


@pytest.mark.parametrize(
    ("likeness", "word", "proposed", "how", "state"),
    [
        (Likeness.REVIEW, None, None, {"in_list": True}, PairState.REVIEW),
        (Likeness.REVIEW, None, None, {"in_list": True, "burst": True}, PairState.BURST),
        (Likeness.REVIEW, None, None, {}, PairState.CLOSED),
        (Likeness.AUTOMATIC, None, PairState.REVIEW, {"in_list": True}, PairState.CLOSED),
        (Likeness.NONE, None, PairState.REVIEW, {}, PairState.REVIEW),
        (Likeness.NONE, None, PairState.REVIEW, {"burst": True}, PairState.BURST),
        (Likeness.REVIEW, None, PairState.AUTOMATIC, {"in_list": True}, PairState.AUTOMATIC),
        (Likeness.NONE, None, PairState.AUTOMATIC, {"in_use": False}, PairState.CLOSED),
        (Likeness.AUTOMATIC, BOTH, None, {}, PairState.NOT_DUPLICATE),
        (Likeness.NONE, KEEP, None, {"in_use": False}, PairState.DUPLICATE),
    ],
)
def test_the_state_of_a_pair(
    likeness: Likeness, word: Word | None, proposed: PairState | None, how: dict[str, bool], state: PairState
) -> None:
    proposal = Proposal(proposed, 0.9, "vectors/1") if proposed else None
    facts = {"in_list": False, "burst": False, "in_use": True} | how
    assert pair_state(likeness, word, proposal, **facts) is state
