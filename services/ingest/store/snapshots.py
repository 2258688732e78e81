"""Reads the state of the library and keeps what was packed of it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from contracts.events import SnapshotPacked
from contracts.taxonomy import Taxonomy
from contracts.values import DuplicateVerdict, ObjectRef, Source
from services.ingest.domain.labels import stored_kind
from services.ingest.domain.shards import Shard, appended
from services.ingest.domain.state import LibraryImage
from services.ingest.store.tables import image, shard, snapshot, snapshot_request
from services.ingest.store.taxonomy import at_one_moment, current_taxonomy
from services.runtime.database import upsert

PACKED_COLUMNS = (
    "snapshot_id", "images", "labelled", "unlabelled", "classes", "shards", "shards_reused", "size_bytes",
    "image_size_px", "taxonomy_version", "packed_at",
)  # fmt: skip

STATE_COLUMNS = (
    image.c.image_id, image.c.normalised, image.c.label, image.c.label_kind, image.c.source, image.c.guest,
    image.c.visit, image.c.group_id, image.c.verdict, image.c.duplicate_of, image.c.benchmark,
    image.c.shard_number,
)  # fmt: skip


def number_images(connection: sa.Connection, shard_images: int) -> None:
    """Give each image that has a verdict and no shard yet its place in one.

    One without a verdict may still turn out a near duplicate.
    """
    # Locked: another replica that numbers waits here, and then sees what this one has filled.
    query = (
        sa.select(image.c.image_id)
        .where(image.c.verdict.is_not(None), image.c.shard_number.is_(None))
        .order_by(image.c.image_id)
        .with_for_update()
    )
    new = connection.scalars(query).all()
    numbers = appended(new, _last_shard(connection), shard_images)
    if numbers:
        statement = (
            sa.update(image)
            .where(image.c.image_id == sa.bindparam("key"))
            .values(shard_number=sa.bindparam("number"))
        )
        rows = [{"key": image_id, "number": number} for image_id, number in numbers.items()]
        connection.execute(statement, rows)


def _last_shard(connection: sa.Connection) -> tuple[int, int] | None:
    query = (
        sa.select(image.c.shard_number, sa.func.count())
        .where(image.c.shard_number.is_not(None))
        .group_by(image.c.shard_number)
        .order_by(image.c.shard_number.desc())
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else (row[0], row[1])


def library_state(connection: sa.Connection) -> tuple[list[LibraryImage], Taxonomy]:
    """Images that have a place in a shard, sorted by image id, and the taxonomy of the same moment."""
    at_one_moment(connection)
    query = sa.select(*STATE_COLUMNS).where(image.c.shard_number.is_not(None)).order_by(image.c.image_id)
    return [_library_image(row) for row in connection.execute(query)], current_taxonomy(connection)


def _library_image(row: Any) -> LibraryImage:
    near = row.verdict == DuplicateVerdict.NEAR
    return LibraryImage(
        image_id=row.image_id,
        normalised=ObjectRef.model_validate(row.normalised),
        label=row.label,
        label_kind=stored_kind(row.label_kind),
        source=Source(row.source),
        guest=row.guest,
        visit=row.visit,
        group=row.group_id,
        near_duplicate_of=row.duplicate_of if near else None,
        benchmark=row.benchmark,
        shard_number=row.shard_number,
    )


def noted_shards(connection: sa.Connection, keys: Collection[str]) -> frozenset[str]:
    """Those of ``keys`` that some snapshot has packed."""
    return frozenset(connection.scalars(sa.select(shard.c.key).where(shard.c.key.in_(keys))))


def note_shard(connection: sa.Connection, packed: Shard, at: datetime) -> None:
    """Note that the shard stands complete in the store."""
    row = {
        "key": packed.key,
        "images": len(packed.members),
        "size_bytes": packed.size_bytes,
        "packed_at": at,
    }
    upsert(connection, shard, [row])


def answered(connection: sa.Connection, request_id: str) -> bool:
    """Whether the request has its answer."""
    query = sa.select(snapshot_request.c.request_id).where(snapshot_request.c.request_id == request_id)
    return connection.scalar(query) is not None


def packed_snapshot(connection: sa.Connection, snapshot_id: str, request_id: str) -> SnapshotPacked | None:
    """What is said of a snapshot that is already packed, as the answer to ``request_id``."""
    row = connection.execute(sa.select(snapshot).where(snapshot.c.snapshot_id == snapshot_id)).one_or_none()
    return None if row is None else _packed(row, request_id)


def newest_snapshots(connection: sa.Connection, limit: int) -> list[SnapshotPacked]:
    """The latest snapshots, newest first, as nobody's answer."""
    query = sa.select(snapshot).order_by(snapshot.c.packed_at.desc(), snapshot.c.snapshot_id).limit(limit)
    return [_packed(row, "") for row in connection.execute(query)]


def keep_snapshot(connection: sa.Connection, packed: SnapshotPacked) -> None:
    """Keep a packed snapshot for later requests of the same state."""
    row = {name: getattr(packed, name) for name in PACKED_COLUMNS}
    taxonomy = None if packed.taxonomy is None else packed.taxonomy.model_dump()
    objects = {"manifest": packed.manifest.model_dump(), "taxonomy": taxonomy}
    upsert(connection, snapshot, [row | objects], update=[])


def keep_answer(connection: sa.Connection, request_id: str, snapshot_id: str, at: datetime) -> None:
    """Note the request as answered."""
    row = {"request_id": request_id, "snapshot_id": snapshot_id, "answered_at": at}
    connection.execute(sa.insert(snapshot_request).values(row))


def _packed(row: sa.Row[Any], request_id: str) -> SnapshotPacked:
    values = {name: getattr(row, name) for name in PACKED_COLUMNS}
    return SnapshotPacked(
        request_id=request_id,
        manifest=ObjectRef.model_validate(row.manifest),
        taxonomy=None if row.taxonomy is None else ObjectRef.model_validate(row.taxonomy),
        **values,
    )
