"""The rules of dedup, as plainly as they can be said: what any other way must agree with."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from contracts.commands import ResolveDuplicate
from contracts.values import DuplicateVerdict, Orientation, PairState
from services.dedup.domain.alike import Likeness, Limits, likeness
from services.dedup.domain.fingerprint import Fingerprint
from services.dedup.domain.groups import NOT_KEPT, Judgement
from services.dedup.domain.keeping import kept_tiers
from services.dedup.domain.pairs import REVIEW_PAIRS, Moment, same_burst
from services.dedup.domain.turning import BACK, ORIENTATIONS, turned_hashes
from services.dedup.store.images import Arrival

BITS = 7
"""Hashes differ in so many bits only: with limits of one and two bits most images have a neighbour."""


def image_id(upload: int, twin: int = 0) -> str:
    """Of the image uploaded as number ``upload``; ``twin`` tells images of one upload number apart."""
    return hashlib.sha256(f"{upload}/{twin}".encode()).hexdigest()


def image(
    upload: int,
    bits: int | None,
    *,
    turn: Orientation = Orientation.SAME,
    twin: int = 0,
    noise: int = 0,
    guest: str | None = None,
    visit: str | None = None,
    taken_at: datetime | None = None,
    side_px: int | None = 100,
) -> Arrival:
    """A made-up image. ``noise`` bits tell its turned hashes from what turning makes of its hash."""
    made = Fingerprint(None, None, None, 0.0, None)
    if bits is not None:
        upright = turned_hashes(bits.to_bytes(32))
        at = ORIENTATIONS.index(turn)
        hash_ = upright[at * 32 : at * 32 + 32]
        turned = bytearray(turned_hashes(hash_))
        turned[63] ^= noise & 1  # of the second orientation
        turned[127] ^= noise >> 1
        made = Fingerprint(hash_, None, None if noise == 3 else bytes(turned), 1.0, None)
    return Arrival(
        image_id(upload, twin),
        f"upload-{upload:06}",
        made,
        Moment(guest, visit, taken_at),
        side_px,
        side_px,
        0.5,
    )


def hash_in(arrival: Arrival, orientation: Orientation) -> int:
    """Of the turned picture."""
    made = arrival.fingerprint
    assert made.hash is not None
    turned = made.turned or turned_hashes(made.hash)
    at = ORIENTATIONS.index(orientation)
    return int.from_bytes(turned[at * 32 : at * 32 + 32])


@dataclass(frozen=True)
class Seen:
    """One image beside another; ``orientation`` of the other, to look like the one."""

    likeness: Likeness
    bits: int | None
    orientation: Orientation


def seen(one: Arrival, other: Arrival, limits: Limits) -> Seen:
    """By their hashes alone."""
    if one.fingerprint.hash is None or other.fingerprint.hash is None:
        return Seen(Likeness.NONE, None, Orientation.SAME)
    swapped = other.image_id < one.image_id
    a, b = (other, one) if swapped else (one, other)
    found = []
    for at, turn in enumerate(ORIENTATIONS):
        bits = max(
            (hash_in(a, turn) ^ hash_in(b, Orientation.SAME)).bit_count(),
            (hash_in(a, Orientation.SAME) ^ hash_in(b, BACK[turn])).bit_count(),
        )
        like = likeness(a.fingerprint, b.fingerprint, bits, turn, limits)
        found.append((list(Likeness).index(like), bits, at))
    like_at, bits, at = min(found)
    turn = ORIENTATIONS[at]
    return Seen(list(Likeness)[like_at], bits, turn if swapped else BACK[turn])


@dataclass
class Model:
    """Everything that was heard."""

    limits: Limits
    images: dict[str, Arrival] = field(default_factory=dict)
    rejected: set[str] = field(default_factory=set)
    resolutions: list[ResolveDuplicate] = field(default_factory=list)
    undone: set[str] = field(default_factory=set)
    proposals: dict[tuple[str, str], tuple[PairState, float]] = field(default_factory=dict)

    def words(self) -> dict[tuple[str, str], ResolveDuplicate]:
        """The word that counts on each pair, the oldest first."""
        standing = [r for r in self.resolutions if r.request_id not in self.undone]
        found: dict[tuple[str, str], ResolveDuplicate] = {}
        for made in sorted(standing, key=lambda r: (r.requested_at, r.request_id)):
            key = _key(made.image_id, made.other_id)
            found.pop(key, None)
            found[key] = made
        return found

    def in_use(self) -> list[Arrival]:
        """Images that nobody rejected, by rank."""
        tiers = kept_tiers(
            (made.keep, next(i for i in key if i != made.keep))
            for key, made in reversed(self.words().items())
            if made.keep is not None
        )
        kept = [a for a in self.images.values() if a.image_id not in self.rejected]
        return sorted(kept, key=lambda a: (tiers.get(a.image_id, NOT_KEPT), a.upload_id, a.image_id))

    def verdicts(self) -> dict[str, Judgement]:
        """Of every image."""
        judged = {i: Judgement(DuplicateVerdict.UNIQUE, i) for i in self.images}
        heads: set[str] = set()
        ranked = self.in_use()
        for rank, one in enumerate(ranked):
            copies: list[tuple[Any, int, str]] = []
            burst: list[tuple[Any, int, str]] = []
            for at, other in enumerate(ranked[:rank]):
                tie = self._tie(one, other)
                if tie is not None:
                    (burst if tie[0] == "burst" else copies).append((tie, at, other.image_id))
            copies.sort()
            burst.sort()
            if not copies:
                heads.add(one.image_id)
                if burst:
                    group = judged[burst[0][2]].group
                    judged[one.image_id] = Judgement(DuplicateVerdict.BURST, group)
                continue
            nearest = copies[0][2]
            joined = [i for _, _, i in copies if i in heads]
            if not joined:
                heads.add(one.image_id)
            shown = seen(one, self.images[nearest], self.limits)
            word = self.words().get(_key(one.image_id, nearest))
            judged[one.image_id] = Judgement(
                DuplicateVerdict.NEAR,
                judged[joined[0]].group if joined else one.image_id,
                nearest,
                shown.bits,
                shown.orientation,
                word.by if word else None,
            )
        return judged

    def pairs(self) -> dict[tuple[str, str], tuple[PairState, bool]]:
        """State of every pair that is not closed, and whether it is listed."""
        listed = self._listed()
        found = {key: self._state(key) for key in {*self.words(), *self.proposals, *listed}}
        return {key: (state, key in listed) for key, state in found.items() if state is not PairState.CLOSED}

    def _listed(self) -> set[tuple[str, str]]:
        found = set()
        by_age = sorted(self.in_use(), key=lambda a: (a.upload_id, a.image_id))
        for age, one in enumerate(by_age):
            for burst in (True, False):
                near = [
                    (shown.bits, at, other.image_id)
                    for at, other in enumerate(by_age[:age])
                    if (shown := seen(one, other, self.limits)).likeness is Likeness.REVIEW
                    and same_burst(one.moment, other.moment) is burst
                ]
                found |= {_key(one.image_id, i) for _, _, i in sorted(near)[:REVIEW_PAIRS]}
        return found

    def _state(self, key: tuple[str, str]) -> PairState:
        word = self.words().get(key)
        if word is not None:
            return PairState.DUPLICATE if word.keep else PairState.NOT_DUPLICATE
        one, other = (self.images[i] for i in key)
        like = seen(one, other, self.limits).likeness
        if self.rejected.intersection(key) or like is Likeness.AUTOMATIC:
            return PairState.CLOSED
        if self.proposals.get(key, (None, 0))[0] is PairState.AUTOMATIC:
            return PairState.AUTOMATIC
        return PairState.BURST if same_burst(one.moment, other.moment) else PairState.REVIEW

    def _tie(self, one: Arrival, other: Arrival) -> tuple[str | int | float, ...] | None:
        """Why they belong together and how near they are, sortable; None when they do not."""
        key = _key(one.image_id, other.image_id)
        shown, word, proposal = seen(one, other, self.limits), self.words().get(key), self.proposals.get(key)
        bits = 257 if shown.bits is None else shown.bits
        if word is not None and word.keep:
            return ("1 person", bits, 0.0)
        if word is None and shown.likeness is Likeness.AUTOMATIC:
            return ("2 hashes", bits, 0.0)
        if word is None and proposal and proposal[0] is PairState.AUTOMATIC:
            return ("3 vectors", bits, -proposal[1])
        alike = shown.likeness is not Likeness.NONE or proposal is not None
        return ("burst", bits, 0.0) if alike and same_burst(one.moment, other.moment) else None


def _key(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one < other else (other, one)
