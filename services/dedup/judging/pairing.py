"""Keeps the pair table what the rules of domain/pairs.py make of the library."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from contracts.values import ImageId, UploadId
from services.dedup.domain.alike import Likeness
from services.dedup.domain.fingerprint import DETECTOR
from services.dedup.domain.keeping import suggested_keep
from services.dedup.domain.pairs import Candidate, PairKey, listed, pair_key, pair_state
from services.dedup.judging.measuring import Measured
from services.dedup.judging.neighbourhood import Neighbourhood
from services.dedup.store.images import StoredImage
from services.dedup.store.pairs import PairRow, pairs_of, save_pairs
from services.runtime.database import Unit


def lists_with(around: Neighbourhood, image_ids: Iterable[ImageId]) -> set[ImageId]:
    """These images and all later ones beside them: whose lists of pairs an arrival may change."""
    found = set(image_ids)
    around.look(found)
    for image_id in list(found):
        own = _age(around.image(image_id))
        found.update(other for other in around.alike(image_id) if _age(around.image(other)) > own)
    return found


def lists_without(
    around: Neighbourhood, image_ids: Iterable[ImageId], rows: Mapping[PairKey, PairRow]
) -> set[ImageId]:
    """These images and all that list one of them: whose lists of pairs a removal changes.

    ``rows`` are all pairs with these images in them.
    """
    around.images(image_id for key in rows for image_id in key)
    gone = set(image_ids)
    owners = {_owner(around, key) for key, row in rows.items() if row.listed and not gone.isdisjoint(key)}
    return gone | owners


def update_pairs(
    unit: Unit, around: Neighbourhood, listing: Collection[ImageId], said: Iterable[PairKey], at: datetime
) -> int:
    """Judge anew the pairs that the images of ``listing`` list or listed, and those of ``said``.

    Of each pair of ``said`` one image was looked at. Returns how many changed.
    """
    said = set(said)
    before = pairs_of(unit.connection, {*listing, *(image_id for key in said for image_id in key)})
    around.look(listing)
    around.images(image_id for key in (*before, *said) for image_id in key)
    in_list = {}
    for key, row in before.items():
        relisted = _owner(around, key) in listing
        if relisted or key in said:  # of no other row it is known here what people said
            in_list[key] = row.listed and not relisted
    for image_id in listing:
        in_list |= dict.fromkeys(_listed_by(around, image_id), True)
    keys = dict.fromkeys([*in_list, *sorted(said)])
    measured = around.measured(keys)
    rows = [_row(around, key, measured[key], in_list=in_list.get(key, False)) for key in keys]
    return save_pairs(unit, rows, before, at)


def _listed_by(around: Neighbourhood, image_id: ImageId) -> list[PairKey]:
    image = around.image(image_id)
    if image.removed:
        return []
    own = _age(image)
    earlier = [other for other in around.alike(image_id) if _age(around.image(other)) < own]
    measured = around.measured(pair_key(image_id, other) for other in earlier)
    candidates = []
    for other in earlier:
        key = pair_key(image_id, other)
        bits = measured[key].distance_bits
        if measured[key].likeness is Likeness.REVIEW and bits is not None:
            candidates.append(Candidate(bits, *_age(around.image(other)), around.burst(key)))
    return [pair_key(image_id, other) for other in listed(candidates)]


def _row(around: Neighbourhood, key: PairKey, measured: Measured, *, in_list: bool) -> PairRow:
    one, other = (around.image(image_id) for image_id in key)
    word, proposal = around.words.get(key), around.proposals.get(key)
    state = pair_state(
        measured.likeness,
        word,
        proposal,
        in_list=in_list,
        burst=around.burst(key),
        in_use=not (one.removed or other.removed),
    )
    return PairRow(
        key=key,
        state=state,
        distance_bits=measured.distance_bits,
        orientation=measured.orientation,
        similarity=proposal.similarity if proposal else None,
        detector=proposal.detector if proposal else DETECTOR,
        suggested_keep=suggested_keep(one.worth, other.worth),
        keep=word.keep if word else None,
        by=word.by if word else None,
        reason=word.reason if word else None,
        request_id=word.request_id if word else None,
        listed=in_list,
        proposed=proposal.state if proposal else None,
    )


def _owner(around: Neighbourhood, key: PairKey) -> ImageId:
    """The later of the two: a pair is on its list."""
    return max(key, key=lambda image_id: _age(around.image(image_id)))


def _age(image: StoredImage) -> tuple[UploadId, ImageId]:
    """Order of uploading, which no person's choice changes."""
    return (image.arrival.upload_id, image.image_id)
