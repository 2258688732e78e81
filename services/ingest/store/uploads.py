"""Uploads and their outcomes, inside the transaction of the caller."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from contracts.events import ImageUploaded
from contracts.manifests import Buckets
from contracts.values import ImageId
from services.ingest.domain.intake import Accepted, Outcome, Rejected, Repeated
from services.ingest.store.tables import upload


def add_uploads(connection: sa.Connection, uploads: Iterable[ImageUploaded]) -> frozenset[str]:
    """Note uploads; one that is already noted stays as it is. Returns the ids that are new."""
    rows = [
        {
            "upload_id": item.upload_id,
            "image_id": item.object.sha256,
            "object": item.object.model_dump(),
            "file_name": item.file_name,
            "uploaded_by": item.uploaded_by,
            "uploaded_at": item.uploaded_at.astimezone(UTC),
            "upstream_id": item.upstream_id,
        }
        for item in uploads
    ]
    if not rows:
        return frozenset()
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    rows.sort(key=lambda row: str(row["upload_id"]))  # one order in every replica: no deadlock
    # Of two replicas that note an upload at once one is told that it is new; the other has waited.
    statement = (
        insert(upload)
        .values(rows)
        .on_conflict_do_nothing(index_elements=["upload_id"])
        .returning(upload.c.upload_id)
    )
    return frozenset(connection.scalars(statement))


def noted_uploads(connection: sa.Connection, upload_ids: Collection[str]) -> dict[str, ImageId]:
    """Image id of each upload that is already noted."""
    query = sa.select(upload.c.upload_id, upload.c.image_id).where(upload.c.upload_id.in_(upload_ids))
    return {row.upload_id: row.image_id for row in connection.execute(query)}


def kept_by_content(connection: sa.Connection, image_ids: Collection[ImageId]) -> frozenset[ImageId]:
    """Those of ``image_ids`` whose bytes an earlier upload put under their own digest."""
    query = sa.select(upload.c.image_id, upload.c.object).where(upload.c.image_id.in_(image_ids))
    return frozenset(
        row.image_id
        for row in connection.execute(query)
        if (row.object["bucket"], row.object["key"]) == (Buckets.INCOMING, row.image_id)
    )


def settled_uploads(connection: sa.Connection, upload_ids: Collection[str], *, lock: bool) -> frozenset[str]:
    """Upload ids that have their outcome; ``lock`` keeps the others for this transaction."""
    query = sa.select(upload.c.upload_id, upload.c.outcome).where(upload.c.upload_id.in_(upload_ids))
    if lock:
        query = query.order_by(upload.c.upload_id).with_for_update()
    return frozenset(row.upload_id for row in connection.execute(query) if row.outcome is not None)


def unsettled_images(connection: sa.Connection, image_ids: Collection[ImageId]) -> frozenset[ImageId]:
    """Those of ``image_ids`` whose upload waits for its outcome."""
    query = sa.select(upload.c.image_id).where(upload.c.image_id.in_(image_ids), upload.c.outcome.is_(None))
    return frozenset(connection.scalars(query))


def write_outcomes(connection: sa.Connection, outcomes: Sequence[Outcome], at: datetime) -> None:
    """Give each upload its outcome."""
    if not outcomes:
        return
    statement = (
        sa.update(upload)
        .where(upload.c.upload_id == sa.bindparam("key"))
        .values(
            {
                name: sa.bindparam(name)
                for name in ("outcome", "same_as", "reject_code", "detail", "settled_at")
            }
        )
    )
    connection.execute(statement, [{**_outcome_row(item), "settled_at": at} for item in outcomes])


def _outcome_row(outcome: Outcome) -> dict[str, Any]:
    row = {"key": outcome.upload.upload_id, "same_as": None, "reject_code": None, "detail": None}
    match outcome:
        case Accepted():
            return {**row, "outcome": "accepted"}
        case Repeated(image_id=image_id, same=same):
            return {**row, "outcome": "repeated", "same_as": image_id, "detail": same}
        case Rejected(rejection=rejection):
            return {**row, "outcome": "rejected", "reject_code": rejection.code, "detail": rejection.detail}
