"""Fingerprints, the search index over them, and the verdicts they lead to."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from contracts.events import ImageDeduplicated
from contracts.values import ImageId
from services.dedup.domain.fingerprint import DETECTOR
from services.dedup.domain.groups import Judgement, Neighbour, RankedImage, revise
from services.dedup.domain.index import HashIndex
from services.runtime.database import Unit, new_metadata, upsert

metadata = new_metadata()

fingerprint_table = sa.Table(
    "fingerprint",
    metadata,
    sa.Column("image_id", sa.Text, primary_key=True),
    # Order of arrival. Unique, so a second writer that searched without the newest rows cannot commit.
    sa.Column("position", sa.Integer, nullable=False, unique=True),
    sa.Column("rank", sa.Text, nullable=False),
    sa.Column("hash", sa.LargeBinary),  # NULL: nothing to compare
    sa.Column("detector", sa.Text, nullable=False),
)

verdict_table = sa.Table(
    "verdict",
    metadata,
    sa.Column("image_id", sa.Text, primary_key=True),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("verdict", sa.Text, nullable=False),
    sa.Column("group_id", sa.Text, nullable=False),
    sa.Column("duplicate_of", sa.Text),
    sa.Column("distance_bits", sa.Integer),
)

calibration_table = sa.Table(
    "calibration",
    metadata,
    sa.Column("detector", sa.Text, primary_key=True),
    sa.Column("max_distance_bits", sa.Integer, nullable=False),
)

IDS_PER_QUERY = 5000  # SQLite takes 32,766 parameters a statement


@dataclass(frozen=True)
class Registered:
    """What one transaction did; ``widest`` is the most neighbours one image had."""

    new: int
    revised: int
    widest: int


class Fingerprints:
    """The stored fingerprints with their in-memory index.

    The index only ever learns rows that are committed: each transaction first reads those it has
    not seen, which after a start are all. One transaction at a time in this process; another
    process that registers at the same moment makes one of the two fail and try again.
    """

    def __init__(self, max_distance_bits: int) -> None:
        self._max_distance_bits = max_distance_bits
        self._index = HashIndex()
        self._last_position = 0
        self._lock = threading.Lock()

    def register(self, unit: Unit, images: Collection[RankedImage], at: datetime) -> Registered:
        """Store what is new of ``images``, judge it, and say every verdict that changed."""
        with self._lock:
            self._catch_up(unit.connection)
            known = known_images(unit.connection, [image.image_id for image in images])
            new = {
                self._last_position + step: image
                for step, image in enumerate((i for i in images if i.image_id not in known), start=1)
            }
            if not new:
                return Registered(0, 0, 0)
            unit.connection.execute(sa.insert(fingerprint_table), _fingerprint_rows(new))
            search = _Search(unit.connection, self._max_distance_bits, self._index, new)
            judged = revise(new.values(), search.near)
            changed = _store_verdicts(unit, judged, at)
            return Registered(len(new), changed - len(new), search.widest)

    def recalibrate(self, unit: Unit, at: datetime) -> Registered:
        """Judge every image anew when the distance is not the one it was judged by."""
        with self._lock:
            stored = unit.connection.scalar(
                sa.select(calibration_table.c.max_distance_bits).where(
                    calibration_table.c.detector == DETECTOR
                )
            )
            if stored == self._max_distance_bits:
                return Registered(0, 0, 0)
            row = {"detector": DETECTOR, "max_distance_bits": self._max_distance_bits}
            upsert(unit.connection, calibration_table, [row])
            self._catch_up(unit.connection)
            search = _Search(unit.connection, self._max_distance_bits, self._index, {})
            judged = revise(_all_images(unit.connection), search.near)
            return Registered(0, _store_verdicts(unit, judged, at), search.widest)

    def _catch_up(self, connection: sa.Connection) -> None:
        table = fingerprint_table.c
        query = (
            sa.select(table.position, table.hash)
            .where(table.position > self._last_position)
            .order_by(table.position)
        )
        rows = connection.execute(query).all()
        if rows:
            self._index.extend((row.position, row.hash) for row in rows if row.hash is not None)
            self._last_position = rows[-1].position


class _Search:
    """Neighbours of an image among the committed ones and those of this transaction."""

    def __init__(
        self,
        connection: sa.Connection,
        max_distance_bits: int,
        index: HashIndex,
        new: Mapping[int, RankedImage],
    ) -> None:
        self._connection = connection
        self._max_distance_bits = max_distance_bits
        self._seen = {position: (image, False) for position, image in new.items()}
        fresh = HashIndex()
        fresh.extend((position, image.hash) for position, image in new.items() if image.hash is not None)
        self._indexes = (index, fresh)
        self.widest = 0

    def near(self, image: RankedImage) -> list[Neighbour]:
        """All images within the distance; an image without a hash has none."""
        if image.hash is None:
            return []
        hits = [hit for index in self._indexes for hit in index.near(image.hash, self._max_distance_bits)]
        self._look_up([position for position, _ in hits if position not in self._seen])
        found = ((*self._seen[position], distance) for position, distance in hits)
        around = [Neighbour(other, distance, stood) for other, stood, distance in found if other != image]
        self.widest = max(self.widest, len(around))
        return around

    def _look_up(self, positions: Sequence[int]) -> None:
        table = fingerprint_table.c
        joined = fingerprint_table.join(verdict_table, verdict_table.c.image_id == table.image_id)
        columns = (table.position, table.rank, table.image_id, table.hash, verdict_table.c.group_id)
        for start in range(0, len(positions), IDS_PER_QUERY):
            chunk = positions[start : start + IDS_PER_QUERY]
            query = sa.select(*columns).select_from(joined).where(table.position.in_(chunk))
            for row in self._connection.execute(query):
                image = RankedImage(row.rank, row.image_id, row.hash)
                self._seen[row.position] = (image, row.group_id == row.image_id)


def known_images(connection: sa.Connection, image_ids: Sequence[ImageId]) -> set[ImageId]:
    """Those of ``image_ids`` that have a fingerprint."""
    column = fingerprint_table.c.image_id
    return set(connection.scalars(sa.select(column).where(column.in_(image_ids))))


def _all_images(connection: sa.Connection) -> list[RankedImage]:
    table = fingerprint_table.c
    rows = connection.execute(sa.select(table.rank, table.image_id, table.hash))
    return [RankedImage(row.rank, row.image_id, row.hash) for row in rows]


def _fingerprint_rows(new: Mapping[int, RankedImage]) -> list[dict[str, Any]]:
    return [
        {
            "image_id": image.image_id,
            "position": position,
            "rank": image.rank,
            "hash": image.hash,
            "detector": DETECTOR,
        }
        for position, image in new.items()
    ]


def _stored_verdicts(
    connection: sa.Connection, image_ids: Sequence[ImageId]
) -> dict[ImageId, tuple[int, Judgement]]:
    stored = {}
    for start in range(0, len(image_ids), IDS_PER_QUERY):
        chunk = image_ids[start : start + IDS_PER_QUERY]
        for row in connection.execute(sa.select(verdict_table).where(verdict_table.c.image_id.in_(chunk))):
            judgement = Judgement(row.group_id, row.duplicate_of, row.distance_bits)
            stored[row.image_id] = (row.revision, judgement)
    return stored


def _store_verdicts(unit: Unit, judged: Mapping[RankedImage, Judgement], at: datetime) -> int:
    """Write and emit the judgements that differ from the stored ones; returns how many do."""
    stored = _stored_verdicts(unit.connection, [image.image_id for image in judged])
    rows: list[dict[str, Any]] = []
    for image, judgement in judged.items():
        revision, before = stored.get(image.image_id, (0, None))
        if judgement == before:
            continue
        event = ImageDeduplicated(
            image_id=image.image_id,
            revision=revision + 1,
            verdict=judgement.verdict,
            group=judgement.group,
            duplicate_of=judgement.duplicate_of,
            distance_bits=judgement.distance_bits,
            detector=DETECTOR,
            deduplicated_at=at,
        )
        unit.emit(event)
        rows.append(
            {
                "image_id": event.image_id,
                "revision": event.revision,
                "verdict": event.verdict.value,
                "group_id": event.group,
                "duplicate_of": event.duplicate_of,
                "distance_bits": event.distance_bits,
            }
        )
    upsert(unit.connection, verdict_table, rows)
    return len(rows)
