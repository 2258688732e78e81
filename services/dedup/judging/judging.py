"""From what is heard to verdicts and pairs, each in one transaction."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from contracts.values import ImageId, PairState
from services.dedup.domain.alike import Likeness, Limits
from services.dedup.domain.faults import OtherLimits
from services.dedup.domain.groups import NOT_KEPT, Judgement, RankedImage, alone, revise
from services.dedup.domain.pairs import REVIEW_PAIRS, PairKey, Proposal, pair_key
from services.dedup.judging.neighbourhood import Neighbourhood
from services.dedup.judging.pairing import lists_with, lists_without, update_pairs
from services.dedup.store.calibrations import calibration_of, library_name, note_calibration
from services.dedup.store.catalogue import Catalogue
from services.dedup.store.images import (
    Arrival,
    StoredImage,
    after_rank,
    insert_images,
    known_images,
    last_numbers,
    set_removed,
)
from services.dedup.store.labels import LabelNews, note_labels, rejected_images
from services.dedup.store.pairs import ProposedPair, pairs_of
from services.dedup.store.resolutions import words_on
from services.dedup.store.verdicts import save_verdicts
from services.runtime.database import Unit, serialise

IMAGES_A_STEP = 2000
"""Judged anew in one transaction after a change of limits."""
WRITERS = "dedup"
"""Name of the lock that lets one transaction of all replicas search and insert at a time."""


@dataclass(frozen=True)
class Judged:
    """What one transaction did; ``widest`` is the most images that one was linked to."""

    new: int = 0
    verdicts: int = 0
    """Changed ones, those of new images among them."""
    pairs: int = 0
    widest: int = 0


class Judging:
    """The active writer of dedup: whatever it does, verdicts and pairs are what they would be if all that
    was ever heard had been heard at once. Any number of processes may do so on one database.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._limits_noted = json.loads(json.dumps(asdict(limits)))
        self._catalogue = Catalogue(limits.search_bits)
        self._lock = threading.Lock()

    def open(self, unit: Unit, work_dir: Path) -> None:
        """Load the index, from the file in ``work_dir`` as far as it is good; first of all."""
        serialise(unit.connection, WRITERS)
        with self._lock:
            stored = calibration_of(unit.connection)
            if stored is None or stored.limits != self._limits_noted:
                self._note(unit.connection, None, done=False)
            self._catalogue.open(unit.connection, work_dir, library_name(unit.connection))

    def recalibrate(self, unit: Unit, at: datetime, images: int = IMAGES_A_STEP) -> int | None:
        """Judge the next images anew when the limits are not those that all were judged by.

        Returns how many were judged; None when there is nothing (more) to do. What is already judged is
        kept over a restart.
        """
        with self.writing(unit.connection) as around:
            stored = calibration_of(unit.connection)
            if stored is None or stored.done:
                return None
            step = after_rank(unit.connection, stored.judged, images)
            if step:
                around.change(step)
                ids = [image.image_id for image in step]
                self.judge(unit, around, ids, at, spread=False)
                update_pairs(unit, around, ids, (), at)
            self._note(unit.connection, step[-1].ranked if step else None, done=len(step) < images)
            return len(step)

    def close(self) -> None:
        """Let another process use the file."""
        self._catalogue.close()

    @contextmanager
    def writing(self, connection: sa.Connection) -> Iterator[Neighbourhood]:
        """The library as it stands, to be changed by nobody else before this transaction ends.

        Raises:
            OtherLimits: another process was started with other limits since.
        """
        serialise(connection, WRITERS)
        with self._lock:
            stored = calibration_of(connection)
            if stored is None or stored.limits != self._limits_noted:
                raise OtherLimits(
                    "this process and the stored verdicts go by different limits: give all dedup processes "
                    "the same MENAGERIE_MAX_DISTANCE_BITS (and other limits), and start this one again"
                )
            self._catalogue.catch_up(connection)
            yield Neighbourhood(connection, self._catalogue, self.limits)

    def accept(self, unit: Unit, arrivals: Collection[Arrival], at: datetime) -> Judged:
        """Store what is new of ``arrivals``, judge it, and say all that changed."""
        connection = unit.connection
        with self.writing(connection) as around:
            known = known_images(connection, [arrival.image_id for arrival in arrivals])
            new = {arrival.image_id: arrival for arrival in arrivals if arrival.image_id not in known}
            if not new:
                return Judged()
            rejected = rejected_images(connection, new)
            position, change = last_numbers(connection)
            images = {
                image_id: StoredImage(position + step, NOT_KEPT, arrival, image_id in rejected)
                for step, (image_id, arrival) in enumerate(new.items(), start=1)
            }
            insert_images(connection, images, change)
            around.add(images.values())
            verdicts = self.judge(unit, around, images, at)
            listing = lists_with(around, [i for i in images if i not in rejected])
            pairs = update_pairs(unit, around, listing, (), at)
            return Judged(len(new), verdicts, pairs, around.widest)

    def label(self, unit: Unit, news: Iterable[LabelNews], at: datetime) -> Judged:
        """Note labels; what is rejected leaves the library, anything else brings it back."""
        connection = unit.connection
        news = list(news)
        with self.writing(connection) as around:
            note_labels(connection, news)
            known = around.images(item.image_id for item in news)
            rejected = rejected_images(connection, known)
            moved = {
                image_id: replace(image, removed=image_id in rejected)
                for image_id, image in known.items()
                if image.removed is not (image_id in rejected)
            }
            if not moved:
                return Judged()
            gone = [image_id for image_id, image in moved.items() if image.removed]
            back = [image_id for image_id, image in moved.items() if not image.removed]
            around.look(gone)
            left = {link.other.image_id for i in gone for link in around.links(known[i].ranked)}
            set_removed(connection, {image_id: image.removed for image_id, image in moved.items()})
            around.change(moved[image_id] for image_id in gone)
            around.add(moved[image_id] for image_id in back)
            verdicts = self.judge(unit, around, {*moved, *left}, at)
            rows = pairs_of(connection, moved)
            listing = lists_with(around, back) | lists_without(around, gone, rows)
            return Judged(0, verdicts, update_pairs(unit, around, listing, rows, at), around.widest)

    def propose(self, unit: Unit, pairs: Iterable[ProposedPair], detector: str, at: datetime) -> int:
        """Take in what similarity vectors say; returns how many pairs changed.

        Skipped are pairs that hashes or a person decided, and those with an unknown or removed image; of
        the rest, for review, at most 20 an image, the most alike first. State closed withdraws a proposal.
        """
        connection = unit.connection
        with self.writing(connection) as around:
            proposals = self._accepted(connection, around, pairs, detector)
            if not proposals:
                return 0
            around.propose(proposals)
            self.judge(unit, around, {image_id for key in proposals for image_id in key}, at)
            return update_pairs(unit, around, (), proposals, at)

    def judge(
        self,
        unit: Unit,
        around: Neighbourhood,
        changed: Iterable[ImageId],
        at: datetime,
        *,
        spread: bool = True,
    ) -> int:
        """Judge what has other links or another rank than before; returns how many verdicts changed."""
        images = around.images(changed)
        around.look(images)
        judged: dict[ImageId, Judgement] = {i: alone(i) for i, image in images.items() if image.removed}
        in_use = (image.ranked for image in images.values() if not image.removed)
        walked = revise(in_use, around, spread=spread)
        judged |= {ranked.image_id: judgement for ranked, judgement in walked.items()}
        return save_verdicts(unit, ((around.image(i), judgement) for i, judgement in judged.items()), at)

    def _note(self, connection: sa.Connection, judged: RankedImage | None, *, done: bool) -> None:
        note_calibration(connection, self._limits_noted, self.limits.search_bits, judged, done=done)

    def _accepted(
        self, connection: sa.Connection, around: Neighbourhood, pairs: Iterable[ProposedPair], detector: str
    ) -> dict[PairKey, Proposal | None]:
        nearest = sorted(pairs, key=lambda offered: (-offered.similarity, offered.image_id, offered.other_id))
        offers = {pair_key(offered.image_id, offered.other_id): offered for offered in nearest}
        images = around.images(image_id for key in offers for image_id in key)
        keys = [key for key in offers if images.keys() >= set(key)]
        words, rows, measured = (
            words_on(connection, images),
            pairs_of(connection, images),
            around.measured(keys),
        )
        room = Counter(
            image_id
            for key, row in rows.items()
            if row.state is PairState.REVIEW and key not in offers
            for image_id in key
        )
        taken: dict[PairKey, Proposal | None] = {}
        for key in keys:
            offer = offers[key]
            if offer.state is PairState.CLOSED:
                taken[key] = None
            elif any(images[image_id].removed for image_id in key) or key in words:
                continue
            elif measured[key].likeness is not Likeness.AUTOMATIC:
                if offer.state is PairState.REVIEW and not around.burst(key):
                    if any(room[image_id] >= REVIEW_PAIRS for image_id in key):
                        continue
                    room.update(key)
                taken[key] = Proposal(offer.state, offer.similarity, detector)
        return taken
