"""Pairs that are shown to people, or that people decided; every change of one is said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from contracts.events import PairJudged
from contracts.values import ImageId, LabelKind, Orientation, PairState
from services.dedup.domain.pairs import PairKey, Proposal
from services.dedup.store.images import chunks
from services.dedup.store.tables import label, pair
from services.runtime.database import Unit, upsert


class ProposedPair(NamedTuple):
    """What similarity vectors say of two images; state review or automatic, or closed: nothing any more."""

    image_id: ImageId
    other_id: ImageId
    similarity: float
    state: PairState


class VerdictPair(NamedTuple):
    """A person's word on two images, with what was measured of them. A label is of kind class, or None."""

    image_id: ImageId
    other_id: ImageId
    duplicate: bool
    label: str | None
    other_label: str | None
    distance_bits: int | None
    similarity: float | None
    detector: str


@dataclass(frozen=True)
class PairRow:
    """A row of the pair table; see there."""

    key: PairKey
    state: PairState
    distance_bits: int | None
    orientation: Orientation
    similarity: float | None
    detector: str
    suggested_keep: ImageId
    keep: ImageId | None
    by: str | None
    reason: str | None
    request_id: str | None
    listed: bool
    proposed: PairState | None
    revision: int = 0

    @property
    def proposal(self) -> Proposal | None:
        """What similarity vectors said."""
        if self.proposed is None or self.similarity is None:
            return None
        return Proposal(self.proposed, self.similarity, self.detector)

    def says_the_same(self, other: PairRow | None) -> bool:
        """Whether nobody outside would see a difference."""
        return other is not None and self == replace(
            other, listed=self.listed, proposed=self.proposed, revision=self.revision
        )


def pairs_of(connection: sa.Connection, image_ids: Iterable[ImageId]) -> dict[PairKey, PairRow]:
    """All rows with one of ``image_ids`` in them."""
    found: dict[PairKey, PairRow] = {}
    for chunk in chunks(image_ids):
        for column in (pair.c.image_id, pair.c.other_id):
            for row in connection.execute(sa.select(pair).where(column.in_(chunk))):
                found[row.image_id, row.other_id] = _pair_row(row)
    return found


def save_pairs(unit: Unit, rows: Iterable[PairRow], before: Mapping[PairKey, PairRow], at: datetime) -> int:
    """Write the rows that differ from ``before``, emit those that say something new; returns how many do."""
    written, said = [], 0
    for row in rows:
        old = before.get(row.key)
        if old is None and row.state is PairState.CLOSED and row.proposed is None:
            continue
        told = replace(row, revision=old.revision if old else 0)
        if told == old:
            continue
        if not told.says_the_same(old):
            told = replace(told, revision=told.revision + 1)
            unit.emit(_event(told, at))
            said += 1
        written.append(_values(told, at))
    upsert(unit.connection, pair, written)
    return said


def verdict_pairs(connection: sa.Connection) -> list[VerdictPair]:
    """What people said of pairs, for thresholds that are learnt from it; sorted by the pair."""
    one, other = label.alias("one"), label.alias("other")
    is_class = LabelKind.CLASS.value
    joined = pair.outerjoin(one, sa.and_(one.c.image_id == pair.c.image_id, one.c.kind == is_class))
    joined = joined.outerjoin(other, sa.and_(other.c.image_id == pair.c.other_id, other.c.kind == is_class))
    decided = (PairState.DUPLICATE.value, PairState.NOT_DUPLICATE.value)
    query = (
        sa.select(pair, one.c.label.label("one_label"), other.c.label.label("other_label"))
        .select_from(joined)
        .where(pair.c.state.in_(decided))
        .order_by(pair.c.image_id, pair.c.other_id)
    )
    return [
        VerdictPair(
            row.image_id,
            row.other_id,
            row.state == PairState.DUPLICATE.value,
            row.one_label,
            row.other_label,
            row.distance_bits,
            row.similarity,
            row.detector,
        )
        for row in connection.execute(query)
    ]


def _event(row: PairRow, at: datetime) -> PairJudged:
    return PairJudged(
        image_id=row.key[0],
        other_id=row.key[1],
        revision=row.revision,
        state=row.state,
        distance_bits=row.distance_bits,
        orientation=row.orientation,
        similarity=row.similarity,
        detector=row.detector,
        suggested_keep=row.suggested_keep,
        keep=row.keep,
        by=row.by,
        reason=row.reason,
        request_id=row.request_id,
        judged_at=at,
    )


def _values(row: PairRow, at: datetime) -> dict[str, Any]:
    return {
        "image_id": row.key[0],
        "other_id": row.key[1],
        "revision": row.revision,
        "state": row.state.value,
        "distance_bits": row.distance_bits,
        "orientation": row.orientation.value,
        "similarity": row.similarity,
        "detector": row.detector,
        "suggested_keep": row.suggested_keep,
        "keep": row.keep,
        "by": row.by,
        "reason": row.reason,
        "request_id": row.request_id,
        "judged_at": at.astimezone(UTC),
        "listed": row.listed,
        "proposed": None if row.proposed is None else row.proposed.value,
    }


def _pair_row(row: sa.Row[Any]) -> PairRow:
    return PairRow(
        key=(row.image_id, row.other_id),
        state=PairState(row.state),
        distance_bits=row.distance_bits,
        orientation=Orientation(row.orientation),
        similarity=row.similarity,
        detector=row.detector,
        suggested_keep=row.suggested_keep,
        keep=row.keep,
        by=row.by,
        reason=row.reason,
        request_id=row.request_id,
        listed=row.listed,
        proposed=None if row.proposed is None else PairState(row.proposed),
        revision=row.revision,
    )
