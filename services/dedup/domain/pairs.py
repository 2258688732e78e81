"""Pairs that hashes alone do not decide: which are shown to a person, and what state they are in."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from contracts.values import Guest, ImageId, PairState, PersonName, UploadId, Visit
from services.dedup.domain.alike import Likeness

REVIEW_PAIRS = 20
"""So many of the nearest earlier images are offered beside an image: a library of line art, where hundreds
look alike, must not ask a person for millions of pairs."""
BURST_WINDOW = timedelta(seconds=60)

PairKey = tuple[ImageId, ImageId]
"""The two images, sorted."""


def pair_key(one: ImageId, other: ImageId) -> PairKey:
    """The pair of two images, whoever asks."""
    return (one, other) if one < other else (other, one)


@dataclass(frozen=True)
class Moment:
    """Who took a picture, and when."""

    guest: Guest | None
    visit: Visit | None
    taken_at: datetime | None


def same_burst(one: Moment, other: Moment) -> bool:
    """Photos of one guest, of the same visit or less than a minute apart."""
    if one.guest != other.guest:
        return False
    if one.visit is not None and one.visit == other.visit:
        return True
    if one.guest is None or one.taken_at is None or other.taken_at is None:
        return False
    return abs(one.taken_at - other.taken_at) <= BURST_WINDOW


@dataclass(frozen=True)
class Word:
    """What a person said of a pair."""

    keep: ImageId | None
    by: PersonName
    reason: str | None
    request_id: str
    requested_at: datetime

    @property
    def duplicate(self) -> bool:
        """One of the two was chosen."""
        return self.keep is not None

    @property
    def order(self) -> tuple[datetime, str]:
        """Of two words on one pair the later counts."""
        return (self.requested_at, self.request_id)


class Proposal(NamedTuple):
    """What similarity vectors say of a pair."""

    state: PairState
    similarity: float
    detector: str


class Candidate(NamedTuple):
    """An earlier image that looks alike enough to be shown beside an image."""

    distance_bits: int
    upload_id: UploadId
    image_id: ImageId
    burst: bool


def listed(candidates: Iterable[Candidate]) -> set[ImageId]:
    """Those that become pairs: the nearest, counted apart for photos of the image's own burst."""
    found = list(candidates)
    return {
        candidate.image_id
        for burst in (False, True)
        for candidate in heapq.nsmallest(REVIEW_PAIRS, (c for c in found if c.burst is burst))
    }


def pair_state(
    likeness: Likeness,
    word: Word | None,
    proposal: Proposal | None,
    *,
    in_list: bool,
    burst: bool,
    in_use: bool,
) -> PairState:
    """State of a pair; ``in_use``: neither image is removed. A person's word stays whatever happens."""
    if word is not None:
        return PairState.DUPLICATE if word.duplicate else PairState.NOT_DUPLICATE
    if not in_use or likeness is Likeness.AUTOMATIC:  # said by image.deduplicated
        return PairState.CLOSED
    if proposal is not None and proposal.state is PairState.AUTOMATIC:
        return PairState.AUTOMATIC
    if proposal is not None or (in_list and likeness is Likeness.REVIEW):
        return PairState.BURST if burst else PairState.REVIEW
    return PairState.CLOSED
