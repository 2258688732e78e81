"""Reads the state of the library and keeps what was packed of it."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from contracts.events import SnapshotPacked
from contracts.values import DuplicateVerdict, LabelKind, ObjectRef, Source
from services.ingest.domain.state import LibraryImage
from services.ingest.store.tables import image, snapshot, snapshot_request
from services.runtime.database import upsert

PACKED_COLUMNS = (
    "snapshot_id", "images", "labelled", "unlabelled", "classes", "shards", "size_bytes",
    "image_size_px", "packed_at",
)  # fmt: skip


def library_state(connection: sa.Connection) -> list[LibraryImage]:
    """Images that have a verdict, sorted by image id: one without may still turn out a near duplicate."""
    query = sa.select(image).where(image.c.verdict.is_not(None)).order_by(image.c.image_id)
    return [_library_image(row) for row in connection.execute(query)]


def _library_image(row: sa.Row) -> LibraryImage:  # type: ignore[type-arg]
    near = row.verdict == DuplicateVerdict.NEAR
    return LibraryImage(
        image_id=row.image_id,
        normalised=ObjectRef.model_validate(row.normalised),
        label=row.label,
        label_kind=None if row.label_kind is None else LabelKind(row.label_kind),
        source=Source(row.source),
        guest=row.guest,
        group=row.group_id,
        near_duplicate_of=row.duplicate_of if near else None,
        benchmark=row.benchmark,
    )


def answered(connection: sa.Connection, request_id: str) -> bool:
    """Whether the request has its answer."""
    query = sa.select(snapshot_request.c.request_id).where(snapshot_request.c.request_id == request_id)
    return connection.scalar(query) is not None


def packed_snapshot(connection: sa.Connection, snapshot_id: str, request_id: str) -> SnapshotPacked | None:
    """What is said of a snapshot that is already packed, as the answer to ``request_id``."""
    row = connection.execute(sa.select(snapshot).where(snapshot.c.snapshot_id == snapshot_id)).one_or_none()
    if row is None:
        return None
    values = {name: getattr(row, name) for name in PACKED_COLUMNS}
    return SnapshotPacked(request_id=request_id, manifest=ObjectRef.model_validate(row.manifest), **values)


def keep_snapshot(connection: sa.Connection, packed: SnapshotPacked) -> None:
    """Keep a packed snapshot for later requests of the same state."""
    row = {name: getattr(packed, name) for name in PACKED_COLUMNS}
    upsert(connection, snapshot, [{**row, "manifest": packed.manifest.model_dump()}], update=[])


def keep_answer(connection: sa.Connection, request_id: str, snapshot_id: str, at: datetime) -> None:
    """Note the request as answered."""
    row = {"request_id": request_id, "snapshot_id": snapshot_id, "answered_at": at}
    connection.execute(sa.insert(snapshot_request).values(row))
