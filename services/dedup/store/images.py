"""Fingerprints of images with what else of an image counts, and their newest verdicts beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any, TypeVar

import sqlalchemy as sa

from contracts.events import ImageAccepted
from contracts.values import DuplicateVerdict, ImageId, Orientation, UploadId
from services.dedup.domain.fingerprint import DETECTOR, Fingerprint
from services.dedup.domain.groups import Judgement, RankedImage
from services.dedup.domain.keeping import Worth
from services.dedup.domain.pairs import Moment
from services.dedup.store.tables import fingerprint, verdict

T = TypeVar("T")

IDS_PER_QUERY = 5000  # SQLite takes 32,766 parameters a statement


@dataclass(frozen=True)
class Arrival:
    """An image that is about to be stored."""

    image_id: ImageId
    upload_id: UploadId
    fingerprint: Fingerprint
    moment: Moment
    width_px: int | None = None
    height_px: int | None = None
    smoothness: float | None = None

    @classmethod
    def of(cls, message: ImageAccepted, made: Fingerprint) -> Arrival:
        """From what ingest says of the image."""
        return cls(
            message.image_id,
            message.upload_id,
            made,
            Moment(message.guest, message.visit, message.taken_at),
            message.width_px,
            message.height_px,
            next((item.value for item in message.quality if item.name == "smoothness"), None),
        )


@dataclass(frozen=True)
class StoredImage:
    """A row of the fingerprint table and the image's verdict; ``revision`` 0 before the first."""

    position: int
    tier: int
    arrival: Arrival
    removed: bool
    revision: int = 0
    judgement: Judgement | None = None

    @property
    def image_id(self) -> ImageId:
        """Of the image."""
        return self.arrival.image_id

    @property
    def ranked(self) -> RankedImage:
        """The image in the order of the library."""
        return RankedImage(self.tier, self.arrival.upload_id, self.arrival.image_id)

    @property
    def worth(self) -> Worth:
        """What speaks for keeping it."""
        made = self.arrival
        return Worth(made.image_id, made.upload_id, made.width_px, made.height_px, made.smoothness)


@dataclass(frozen=True)
class IndexChange:
    """What the index has to learn of one row; ``hash`` None: nothing to find, or removed."""

    change: int
    position: int
    hash: bytes | None


def chunks(values: Iterable[T], size: int = IDS_PER_QUERY) -> Iterator[list[T]]:
    """As many values as a statement takes parameters."""
    everything = list(values)
    for start in range(0, len(everything), size):
        yield everything[start : start + size]


def known_images(connection: sa.Connection, image_ids: Iterable[ImageId]) -> set[ImageId]:
    """Those of ``image_ids`` that have a fingerprint."""
    column = fingerprint.c.image_id
    found: set[ImageId] = set()
    for chunk in chunks(image_ids):
        found.update(connection.scalars(sa.select(column).where(column.in_(chunk))))
    return found


def by_position(connection: sa.Connection, positions: Iterable[int]) -> list[StoredImage]:
    """The images at those positions."""
    return _images(connection, fingerprint.c.position, positions)


def by_id(connection: sa.Connection, image_ids: Iterable[ImageId]) -> list[StoredImage]:
    """Those of ``image_ids`` that have a fingerprint."""
    return _images(connection, fingerprint.c.image_id, image_ids)


def after_rank(
    connection: sa.Connection, after: tuple[int, UploadId, ImageId] | None, limit: int
) -> list[StoredImage]:
    """The next images in the order of the library."""
    columns = (fingerprint.c.tier, fingerprint.c.rank, fingerprint.c.image_id)
    query = _SELECT.order_by(*columns).limit(limit)
    if after is not None:
        query = query.where(sa.tuple_(*columns) > sa.tuple_(*(sa.literal(value) for value in after)))
    return [_stored(row) for row in connection.execute(query)]


def count_images(connection: sa.Connection, *, hashed: bool = False) -> int:
    """How many images there are; with ``hashed`` only those the index holds."""
    query = sa.select(sa.func.count()).select_from(fingerprint)
    if hashed:
        query = query.where(fingerprint.c.hash.is_not(None), fingerprint.c.removed.is_(sa.false()))
    return connection.execute(query).scalar_one()


def last_numbers(connection: sa.Connection) -> tuple[int, int]:
    """The highest position and the highest change number, 0 when there are none."""
    # One subquery each: SQLite reads the end of an index for one maximum, and the whole table for two.
    maxima = (
        sa.select(sa.func.max(column)).scalar_subquery()
        for column in (fingerprint.c.position, fingerprint.c.change)
    )
    query = sa.select(*(sa.func.coalesce(maximum, 0) for maximum in maxima))
    last = connection.execute(query).one()
    return int(last[0]), int(last[1])


def changes_after(connection: sa.Connection, change: int, limit: int) -> list[IndexChange]:
    """The next changes that the index has not seen, in order."""
    table = fingerprint.c
    query = (
        sa.select(table.change, table.position, table.hash, table.removed)
        .where(table.change > change)
        .order_by(table.change)
        .limit(limit)
    )
    return [
        IndexChange(row.change, row.position, None if row.removed else row.hash)
        for row in connection.execute(query)
    ]


def insert_images(connection: sa.Connection, images: Mapping[ImageId, StoredImage], change: int) -> None:
    """Store new images; ``change`` is the number of the last change so far."""
    rows = [_row(image) | {"change": change + step} for step, image in enumerate(images.values(), start=1)]
    connection.execute(sa.insert(fingerprint), rows)


def set_removed(connection: sa.Connection, removed: Mapping[ImageId, bool]) -> None:
    """Note who left and who came back."""
    _, change = last_numbers(connection)
    statement = (
        sa.update(fingerprint)
        .where(fingerprint.c.image_id == sa.bindparam("which"))
        .values(removed=sa.bindparam("gone"), change=sa.bindparam("number"))
    )
    rows = [
        {"which": image_id, "gone": gone, "number": change + step}
        for step, (image_id, gone) in enumerate(removed.items(), start=1)
    ]
    connection.execute(statement, rows)


def set_tiers(connection: sa.Connection, tiers: Mapping[ImageId, int]) -> None:
    """Note the place of images that people kept, or keep no more (``NOT_KEPT``)."""
    statement = (
        sa.update(fingerprint)
        .where(fingerprint.c.image_id == sa.bindparam("which"))
        .values(tier=sa.bindparam("now"))
    )
    if tiers:
        connection.execute(statement, [{"which": i, "now": tier} for i, tier in tiers.items()])


_SELECT = sa.select(
    fingerprint,
    verdict.c.revision,
    verdict.c.verdict,
    verdict.c.group_id,
    verdict.c.duplicate_of,
    verdict.c.distance_bits,
    verdict.c.orientation,
    verdict.c.by,
).select_from(fingerprint.outerjoin(verdict, verdict.c.image_id == fingerprint.c.image_id))


def _images(
    connection: sa.Connection, column: sa.ColumnElement[Any], values: Iterable[object]
) -> list[StoredImage]:
    return [
        _stored(row)
        for chunk in chunks(values)
        for row in connection.execute(_SELECT.where(column.in_(chunk)))
    ]


def _stored(row: sa.Row[Any]) -> StoredImage:
    made = Fingerprint(row.hash, row.hash64, row.turned, row.detail, row.sketch)
    taken_at = row.taken_at
    if taken_at is not None and taken_at.tzinfo is None:
        taken_at = taken_at.replace(tzinfo=UTC)  # SQLite keeps no time zone
    moment = Moment(row.guest, row.visit, taken_at)
    return StoredImage(
        row.position,
        row.tier,
        Arrival(row.image_id, row.rank, made, moment, row.width_px, row.height_px, row.smoothness),
        row.removed,
        row.revision or 0,
        None if row.revision is None else judgement_of(row),
    )


def judgement_of(row: sa.Row[Any]) -> Judgement:
    """What a row of the verdict table says."""
    return Judgement(
        DuplicateVerdict(row.verdict),
        row.group_id,
        row.duplicate_of,
        row.distance_bits,
        Orientation(row.orientation),
        row.by,
    )


def _row(image: StoredImage) -> dict[str, Any]:
    arrival = image.arrival
    made = arrival.fingerprint
    return {
        "image_id": arrival.image_id,
        "position": image.position,
        "rank": arrival.upload_id,
        "tier": image.tier,
        "hash": made.hash,
        "hash64": made.hash64,
        "turned": made.turned,
        "detail": made.detail,
        "sketch": made.sketch,
        "detector": DETECTOR,
        "guest": arrival.moment.guest,
        "visit": arrival.moment.visit,
        "taken_at": arrival.moment.taken_at,
        "width_px": arrival.width_px,
        "height_px": arrival.height_px,
        "smoothness": arrival.smoothness,
        "removed": image.removed,
    }
