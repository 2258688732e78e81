"""Reads and writes of ingest's tables, inside the transaction of the caller."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from contracts.events import ImageAccepted, ImageDeduplicated, ImageUploaded
from contracts.values import ImageId, LabelKind, ObjectRef
from services.ingest.domain.facts import LabelFact
from services.ingest.domain.faults import ImageNotYetKnown
from services.ingest.domain.intake import Accepted, Outcome, Rejected, Repeated
from services.ingest.domain.labels import ImageLabel
from services.ingest.tables import image, label_change, label_request, metadata, upload
from services.runtime.database import upsert

__all__ = ["metadata"]


def add_uploads(connection: sa.Connection, uploads: Iterable[ImageUploaded]) -> None:
    """Note uploads; one that is already noted stays as it is."""
    rows = [
        {
            "upload_id": item.upload_id,
            "image_id": item.object.sha256,
            "object": item.object.model_dump(),
            "file_name": item.file_name,
            "uploaded_by": item.uploaded_by,
            "uploaded_at": item.uploaded_at.astimezone(UTC),
        }
        for item in uploads
    ]
    upsert(connection, upload, rows, update=[])


def noted_uploads(connection: sa.Connection, upload_ids: Collection[str]) -> dict[str, ImageId]:
    """Image id of each upload that is already noted."""
    query = sa.select(upload.c.upload_id, upload.c.image_id).where(upload.c.upload_id.in_(upload_ids))
    return {row.upload_id: row.image_id for row in connection.execute(query)}


def stored_objects(connection: sa.Connection, image_ids: Collection[ImageId]) -> dict[ImageId, ObjectRef]:
    """Objects that earlier uploads of the same bytes put into the store."""
    query = sa.select(upload.c.image_id, upload.c.object).where(upload.c.image_id.in_(image_ids))
    return {row.image_id: ObjectRef.model_validate(row.object) for row in connection.execute(query)}


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


def known_images(connection: sa.Connection, image_ids: Collection[ImageId]) -> frozenset[ImageId]:
    """Those of ``image_ids`` that the library has."""
    query = sa.select(image.c.image_id).where(image.c.image_id.in_(image_ids))
    return frozenset(connection.scalars(query))


def images_by_pixels(connection: sa.Connection, digests: Collection[str]) -> dict[str, ImageId]:
    """The library's image of each pixel digest it has."""
    query = sa.select(image.c.pixel_sha256, image.c.image_id).where(image.c.pixel_sha256.in_(digests))
    return {row.pixel_sha256: row.image_id for row in connection.execute(query)}


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


def add_images(connection: sa.Connection, images: Sequence[tuple[ImageAccepted, str]]) -> None:
    """Add accepted images, each with its pixel digest.

    Raises:
        sqlalchemy.exc.IntegrityError: another replica was faster; settle again.
    """
    rows = [
        {
            "image_id": item.image_id,
            "pixel_sha256": pixel_sha256,
            "upload_id": item.upload_id,
            "original": item.original.model_dump(),
            "normalised": item.normalised.model_dump(),
            "thumbnail": item.thumbnail.model_dump(),
            "source": item.source,
            "guest": item.guest,
            "benchmark": item.benchmark,
            "taken_at": None if item.taken_at is None else item.taken_at.astimezone(UTC),
            "accepted_at": item.accepted_at,
            "label_revision": 0,
            "verdict_revision": 0,
        }
        for item, pixel_sha256 in images
    ]
    if rows:
        connection.execute(sa.insert(image), rows)


def lock_labels(connection: sa.Connection, image_ids: Collection[ImageId]) -> dict[ImageId, ImageLabel]:
    """Labels of the images that are known, locked until the transaction ends."""
    query = (
        sa.select(image.c.image_id, image.c.label, image.c.label_kind, image.c.label_revision)
        .where(image.c.image_id.in_(image_ids))
        .order_by(image.c.image_id)
        .with_for_update()
    )
    return {
        row.image_id: ImageLabel(
            row.label, None if row.label_kind is None else LabelKind(row.label_kind), row.label_revision
        )
        for row in connection.execute(query)
    }


def write_labels(connection: sa.Connection, facts: Sequence[LabelFact]) -> None:
    """Set labels and keep the changes."""
    if not facts:
        return
    statement = (
        sa.update(image)
        .where(image.c.image_id == sa.bindparam("key"))
        .values({name: sa.bindparam(name) for name in ("label", "label_kind", "label_revision")})
    )
    connection.execute(statement, [
        {"key": fact.image_id, "label": fact.change.text, "label_kind": fact.change.kind,
         "label_revision": fact.change.revision}
        for fact in facts
    ])  # fmt: skip
    connection.execute(sa.insert(label_change), [_change_row(fact) for fact in facts])


def _change_row(fact: LabelFact) -> dict[str, Any]:
    return {
        "image_id": fact.image_id,
        "revision": fact.change.revision,
        "previous_label": fact.change.previous,
        "label": fact.change.text,
        "label_kind": fact.change.kind,
        "changed_by": fact.by,
        "changed_at": fact.at.astimezone(UTC),
        "reason": fact.reason,
    }


def claim_label_request(connection: sa.Connection, request_id: str, image_id: ImageId, at: datetime) -> bool:
    """Note a request as handled; False when it already was."""
    if connection.scalar(
        sa.select(label_request.c.request_id).where(label_request.c.request_id == request_id)
    ):
        return False
    connection.execute(
        sa.insert(label_request).values(request_id=request_id, image_id=image_id, handled_at=at)
    )
    return True


def note_verdicts(connection: sa.Connection, verdicts: Sequence[ImageDeduplicated]) -> None:
    """Keep the verdict of the highest revision per image, in whatever order they come.

    Raises:
        ImageNotYetKnown: an image of the batch is not in the library yet.
    """
    latest: dict[ImageId, ImageDeduplicated] = {}
    for verdict in verdicts:
        held = latest.get(verdict.image_id)
        if held is None or held.revision < verdict.revision:
            latest[verdict.image_id] = verdict
    missing = latest.keys() - known_images(connection, latest.keys())
    if missing:
        raise ImageNotYetKnown(
            f"verdict for image {min(missing)}, which the library does not have; retry later"
        )
    statement = (
        sa.update(image)
        .where(image.c.image_id == sa.bindparam("key"), image.c.verdict_revision < sa.bindparam("revision"))
        .values(
            verdict=sa.bindparam("verdict"),
            group_id=sa.bindparam("group_id"),
            duplicate_of=sa.bindparam("duplicate_of"),
            verdict_revision=sa.bindparam("revision"),
        )
    )
    connection.execute(statement, [_verdict_row(verdict) for _, verdict in sorted(latest.items())])


def _verdict_row(verdict: ImageDeduplicated) -> dict[str, Any]:
    return {
        "key": verdict.image_id,
        "verdict": verdict.verdict,
        "group_id": verdict.group,
        "duplicate_of": verdict.duplicate_of,
        "revision": verdict.revision,
    }
