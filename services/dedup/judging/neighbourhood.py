"""What stands beside an image: by hashes, by people's words, and by similarity vectors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
import sqlalchemy as sa

from contracts.values import ImageId
from services.dedup.domain.alike import Likeness, Limits
from services.dedup.domain.fingerprint import HASH_BYTES
from services.dedup.domain.groups import Link, RankedImage, Standing, Tie, standing
from services.dedup.domain.pairs import PairKey, Proposal, Word, pair_key, same_burst
from services.dedup.domain.turning import BACK, ORIENTATIONS, as_turned
from services.dedup.index import HashIndex, Hits
from services.dedup.judging.measuring import NOT_MEASURED, Measured, measure, tie_of, turned
from services.dedup.store.catalogue import BITS, Catalogue
from services.dedup.store.images import StoredImage, by_id, by_position
from services.dedup.store.pairs import pairs_of
from services.dedup.store.resolutions import words_on

LOADED_TOGETHER = 256
"""Images whose surroundings are read at once while a change spreads."""

POSITIONS = 2**40
"""More than there will ever be."""


class Neighbourhood:
    """The library as one transaction sees it; a ``Library`` for ``revise``.

    ``added`` and ``changed`` images are what this transaction is about to say of them; the index
    knows of neither. Everything is read for many images at once.
    """

    def __init__(self, connection: sa.Connection, catalogue: Catalogue, limits: Limits) -> None:
        self._connection = connection
        self._catalogue = catalogue
        self._limits = limits
        self._images: dict[ImageId, StoredImage] = {}
        self._by_position: dict[int, ImageId] = {}
        self._fresh = HashIndex(BITS, catalogue.distance_bits)
        self._was_away: set[ImageId] = set()
        self._measured: dict[PairKey, Measured] = {}
        self._alike: dict[ImageId, list[ImageId]] = {}
        self._links: dict[ImageId, list[Link]] = {}
        self._said: defaultdict[ImageId, dict[ImageId, None]] = defaultdict(dict)
        self.words: dict[PairKey, Word] = {}
        self.proposals: dict[PairKey, Proposal] = {}
        self._proposed_now: set[PairKey] = set()
        self.widest = 0

    def add(self, images: Iterable[StoredImage]) -> None:
        """Images that were not in use before this transaction: new ones and those that came back."""
        for image in images:
            self._know(image)
            self._was_away.add(image.image_id)
            if image.arrival.fingerprint.hash is not None and not image.removed:
                row = np.frombuffer(image.arrival.fingerprint.hash, np.uint8).reshape(1, HASH_BYTES)
                self._fresh.extend(np.array([image.position]), row)

    def change(self, images: Iterable[StoredImage]) -> None:
        """Images that this transaction removed or ranked anew."""
        for image in images:
            self._know(image)
        self._links.clear()
        self._alike.clear()

    def images(self, image_ids: Iterable[ImageId]) -> dict[ImageId, StoredImage]:
        """Those of ``image_ids`` that exist."""
        wanted = list(dict.fromkeys(image_ids))
        for image in by_id(self._connection, [i for i in wanted if i not in self._images]):
            self._know(image)
        return {image_id: self._images[image_id] for image_id in wanted if image_id in self._images}

    def image(self, image_id: ImageId) -> StoredImage:
        """One that was met before."""
        return self._images[image_id]

    def look(self, image_ids: Iterable[ImageId]) -> None:
        """Read what stands beside these images, as far as it was not yet."""
        asked = dict.fromkeys(i for i in image_ids if i not in self._links)
        around = list(self.images(asked).values())
        if not around:
            return
        self._read_said(around)
        self._measure(self._found(around))
        for image in around:
            self._alike[image.image_id] = [
                other
                for other in self._alike[image.image_id]
                if self._measured[pair_key(image.image_id, other)].likeness is not Likeness.NONE
            ]
            self._links[image.image_id] = [] if image.removed else self._linked(image)
            self.widest = max(self.widest, len(self._links[image.image_id]))

    def links(self, image: RankedImage, waiting: Collection[RankedImage] = ()) -> Sequence[Link]:
        """All edges of an image to images in use."""
        if image.image_id not in self._links:
            next_ones = sorted(waiting)[: LOADED_TOGETHER - 1]
            self.look([image.image_id, *(other.image_id for other in next_ones)])
        return self._links[image.image_id]

    def standing(self, image: RankedImage) -> Standing | None:
        """As stored; None for what is new, or came back."""
        stored = self._images[image.image_id]
        if stored.judgement is None or image.image_id in self._was_away:
            return None
        return standing(image.image_id, stored.judgement)

    def alike(self, image_id: ImageId) -> list[ImageId]:
        """Images in use that look alike by their hashes; ``look`` comes first."""
        return self._alike.get(image_id, [])

    def measured(self, keys: Iterable[PairKey]) -> Mapping[PairKey, Measured]:
        """Distances of those pairs of images, whether near or not."""
        wanted = [key for key in dict.fromkeys(keys) if key not in self._measured]
        self.images(image_id for key in wanted for image_id in key)
        self._measure(wanted)
        return self._measured

    def burst(self, key: PairKey) -> bool:
        """Whether the two are photos of one moment."""
        one, other = (self._images[image_id].arrival.moment for image_id in key)
        return same_burst(one, other)

    def propose(self, proposals: Mapping[PairKey, Proposal | None]) -> None:
        """What similarity vectors say now, before anything was looked at; None: nothing any more."""
        self._proposed_now = set(proposals)
        self.proposals = {key: proposal for key, proposal in proposals.items() if proposal is not None}
        self._note_said(proposals)

    def _know(self, image: StoredImage) -> None:
        self._images[image.image_id] = image
        self._by_position[image.position] = image.image_id

    def _read_said(self, around: Sequence[StoredImage]) -> None:
        ids = [image.image_id for image in around]
        words = words_on(self._connection, ids)
        self.words |= words
        rows = pairs_of(self._connection, ids).values()
        proposals = {
            row.key: row.proposal
            for row in rows
            if row.proposal is not None and row.key not in self._proposed_now
        }
        self.proposals |= proposals
        self._note_said((*words, *proposals))

    def _note_said(self, keys: Collection[PairKey]) -> None:
        self.images(image_id for key in keys for image_id in key)
        for one, other in keys:
            self._said[one][other] = self._said[other][one] = None

    def _found(self, around: Sequence[StoredImage]) -> list[PairKey]:
        """Pairs to measure: what the index finds, and what was said something of."""
        searching = [image for image in around if image.arrival.fingerprint.hash and not image.removed]
        for image in around:
            self._alike[image.image_id] = []
        pairs = self._search(searching)
        unknown = {position for _, position in pairs if position not in self._by_position}
        for image in by_position(self._connection, unknown):
            self._know(image)
        keys = []
        for number, position in pairs:
            one, other = searching[number], self._images[self._by_position[position]]
            if other.image_id != one.image_id and not other.removed:
                self._alike[one.image_id].append(other.image_id)
                keys.append(pair_key(one.image_id, other.image_id))
        keys += [pair_key(i.image_id, other) for i in around for other in self._said[i.image_id]]
        return keys

    def _search(self, searching: Sequence[StoredImage]) -> list[tuple[int, int]]:
        """(number in ``searching``, position) of all pairs that may be alike."""
        by_reach: defaultdict[int, list[int]] = defaultdict(list)
        for number, image in enumerate(searching):
            by_reach[self._limits.reach_bits(image.arrival.fingerprint)].append(number)
        pairs = []
        for bits, numbers in by_reach.items():
            made = [searching[number].arrival.fingerprint for number in numbers]
            queries = as_turned([turned(one) for one in made]).reshape(-1, HASH_BYTES)
            for hits in (self._catalogue.near(queries, bits), self._fresh.near(queries, bits)):
                pairs += [(numbers[query], position) for query, position in _distinct(hits)]
        return pairs

    def _measure(self, keys: Iterable[PairKey]) -> None:
        wanted = []
        for key in dict.fromkeys(keys):
            if key in self._measured:
                continue
            if any(self._images[image_id].arrival.fingerprint.hash is None for image_id in key):
                self._measured[key] = NOT_MEASURED
            else:
                wanted.append(key)
        pairs = ([self._images[image_id].arrival.fingerprint for image_id in key] for key in wanted)
        self._measured |= zip(wanted, measure(list(pairs), self._limits), strict=True)

    def _linked(self, image: StoredImage) -> list[Link]:
        own = image.image_id
        others = dict.fromkeys(self._alike[own]) | self._said[own]
        links = (self._link(image, self._images[other]) for other in others)
        return [link for link in links if link is not None]

    def _link(self, image: StoredImage, other: StoredImage) -> Link | None:
        if other.removed:
            return None
        key = pair_key(image.image_id, other.image_id)
        measured, word, proposal = self._measured[key], self.words.get(key), self.proposals.get(key)
        tie = tie_of(measured.likeness, word, proposal, burst=self.burst(key))
        if tie is None:
            return None
        # Stored for the image that sorts first; a link tells how the other has to be turned.
        turn = measured.orientation
        return Link(
            other.ranked,
            tie,
            measured.distance_bits,
            turn if key[0] == other.image_id else BACK[turn],
            proposal.similarity if proposal and tie is Tie.VECTORS else None,
            word.by if word and tie is Tie.PERSON else None,
        )


def _distinct(hits: Hits) -> list[tuple[int, int]]:
    numbers, positions = np.divmod(
        np.unique((hits.query // len(ORIENTATIONS)) * POSITIONS + hits.position), POSITIONS
    )
    return list(zip(numbers.tolist(), positions.tolist(), strict=True))
