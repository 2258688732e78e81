"""A person's word on two images, and taking it back; the same for a message and for HTTP."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from typing import Any

from contracts.commands import ResolveDuplicate, UndoDuplicate
from contracts.values import ImageId
from services.dedup.domain.faults import ActionRefused, NotYetKnown
from services.dedup.domain.groups import NOT_KEPT
from services.dedup.domain.keeping import kept_tiers
from services.dedup.domain.pairs import PairKey, pair_key
from services.dedup.judging import Judging
from services.dedup.judging.neighbourhood import Neighbourhood
from services.dedup.judging.pairing import update_pairs
from services.dedup.store import resolutions
from services.dedup.store.images import set_tiers
from services.dedup.store.pairs import pairs_of
from services.runtime.database import Unit
from services.runtime.text import storable

Outcome = dict[str, Any]
"""What the requester is told; JSON."""


class Resolving:
    """Resolutions are a set: verdicts and pairs are made from those that were not taken back, of each
    pair from the latest.
    """

    def __init__(self, judging: Judging) -> None:
        self._judging = judging

    def perform(self, unit: Unit, command: ResolveDuplicate | UndoDuplicate, at: datetime) -> Outcome:
        """Do what is asked; what was handled before changes nothing and is told the same again.

        Raises:
            ActionRefused: it cannot be done, and why.
            NotYetKnown: of these, what a message may find at its next attempt.
        """
        command = storable(command)
        with self._judging.writing(unit.connection) as around:
            handled = resolutions.outcome_of(unit.connection, command.request_id)
            if handled is not None:
                name, outcome = handled
                if name != command.name:
                    raise ActionRefused(
                        409, f"request_id {command.request_id!r} was used for {name}; make a new one"
                    )
                return outcome
            if isinstance(command, ResolveDuplicate):
                key = _remember(unit, around, command)
            else:
                key = _take_back(unit, command)
            outcome = self._apply(unit, around, key, at)
            resolutions.keep_outcome(unit.connection, command.request_id, command.name, outcome, at)
            return outcome

    def _apply(self, unit: Unit, around: Neighbourhood, key: PairKey, at: datetime) -> Outcome:
        moved = _rank_anew(unit, around, key)
        around.look([*key, *moved])
        beside = {link.other.image_id for i in moved for link in around.links(around.image(i).ranked)}
        verdicts = self._judging.judge(unit, around, {*key, *moved, *beside}, at)
        pairs = update_pairs(unit, around, (), [key], at)
        row = pairs_of(unit.connection, key).get(key)
        return {
            "image_id": key[0],
            "other_id": key[1],
            "state": row.state.value if row else None,
            "keep": row.keep if row else None,
            "changed": verdicts,
            "pairs_changed": pairs,
        }


def _remember(unit: Unit, around: Neighbourhood, command: ResolveDuplicate) -> PairKey:
    key = pair_key(command.image_id, command.other_id)
    known = around.images(key)
    for image_id in key:
        if image_id not in known:
            raise NotYetKnown(f"image {image_id} is unknown; use the ids that the library lists")
    resolutions.note_resolution(unit.connection, command)
    return key


def _take_back(unit: Unit, command: UndoDuplicate) -> PairKey:
    made = resolutions.resolution_of(unit.connection, command.undoes)
    if made is None:
        raise NotYetKnown(
            f"nothing was resolved under request_id {command.undoes!r}; a pair names its request"
        )
    if made.undone_by is not None:
        raise ActionRefused(
            409,
            f"the resolution {command.undoes!r} was taken back by {made.undone_by!r}; resolve anew",
        )
    resolutions.take_back(unit.connection, command.undoes, command.request_id)
    return made.key


def _rank_anew(unit: Unit, around: Neighbourhood, key: PairKey) -> Collection[ImageId]:
    """Give the images that hang together with this pair their places; returns those that got another."""
    words = resolutions.words_around(unit.connection, key)
    choices = sorted(((word.order, pair, word.keep) for pair, word in words.items()), reverse=True)
    tiers = kept_tiers(
        (keep, pair[0] if keep == pair[1] else pair[1]) for _, pair, keep in choices if keep is not None
    )
    images = around.images({*key, *(image_id for pair in words for image_id in pair)})
    moved = {
        image_id: replace(image, tier=tiers.get(image_id, NOT_KEPT))
        for image_id, image in images.items()
        if image.tier != tiers.get(image_id, NOT_KEPT)
    }
    set_tiers(unit.connection, {image_id: image.tier for image_id, image in moved.items()})
    around.change(moved.values())
    return moved
