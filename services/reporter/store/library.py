"""Questions about uploads, images and classes."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from contracts.values import ObjectRef
from services.reporter.domain.flow import FlowCounts
from services.reporter.store.reading import Row, first, page, rows
from services.reporter.store.tables import dim_images, fct_uploads
from services.reporter.store.views import (
    rpt_classes_v1,
    rpt_duplicate_pairs_v1,
    rpt_images_v1,
    rpt_uploads_v1,
)

IMAGE = rpt_images_v1.c
UPLOAD = rpt_uploads_v1.c
SAMPLES = 4


@dataclass(frozen=True)
class ImageFilter:
    """Which images; None asks for all. ``file`` is a part of the file name in any case."""

    label: str | None = None
    unlabelled: bool | None = None
    verdict: str | None = None
    source: str | None = None
    benchmark: str | None = None
    file: str | None = None


def flow_counts(connection: sa.Connection) -> FlowCounts:
    """How many images came how far."""
    by_outcome = sa.select(fct_uploads.c.outcome, sa.func.count()).group_by(fct_uploads.c.outcome)
    outcomes = {outcome or "waiting": count for outcome, count in connection.execute(by_outcome)}
    labelled = dim_images.c.label.is_not(None)
    library = connection.execute(
        sa.select(dim_images.c.verdict, labelled, sa.func.count())
        .where(dim_images.c.accepted_at.is_not(None))
        .group_by(dim_images.c.verdict, labelled)
    )
    return FlowCounts(
        accepted=outcomes.get("accepted", 0),
        repeated=outcomes.get("repeated", 0),
        rejected=outcomes.get("rejected", 0),
        waiting=outcomes.get("waiting", 0),
        library={(verdict, bool(given)): count for verdict, given, count in library},
    )


def pairs_in_review(connection: sa.Connection) -> int:
    """Pairs of images that look alike and that nobody has decided on."""
    waiting = sa.select(sa.func.count()).select_from(rpt_duplicate_pairs_v1)
    return connection.scalar(waiting.where(rpt_duplicate_pairs_v1.c.is_open)) or 0


def images(
    connection: sa.Connection, wanted: ImageFilter, limit: int, after: str | None
) -> tuple[list[Row], str | None]:
    """Accepted images, newest first."""
    query = sa.select(
        IMAGE.image_id,
        IMAGE.upload_id,
        IMAGE.file_name,
        IMAGE.source,
        IMAGE.guest,
        IMAGE.benchmark,
        IMAGE.taken_at,
        IMAGE.accepted_at,
        IMAGE.image_format,
        IMAGE.width_px,
        IMAGE.height_px,
        IMAGE.original_size_bytes.label("size_bytes"),
        IMAGE.label,
        IMAGE.label_kind,
        IMAGE.labelled_by,
        IMAGE.labelled_at,
        IMAGE.verdict,
        IMAGE.duplicate_of_image_id.label("duplicate_of"),
        IMAGE.distance_bits,
        IMAGE.orientation,
        IMAGE.verdict_by,
        IMAGE.group_id.label("group"),
        IMAGE.flags,
        IMAGE.visit,
        IMAGE.tags,
        IMAGE.upstream_id,
    )
    for name in ("label", "verdict", "source", "benchmark"):
        value = getattr(wanted, name)
        if value is not None:
            query = query.where(IMAGE[name] == value)
    if wanted.unlabelled is not None:
        query = query.where(IMAGE.label.is_(None) if wanted.unlabelled else IMAGE.label.is_not(None))
    if wanted.file is not None:
        query = query.where(IMAGE.file_name.icontains(wanted.file, autoescape=True))
    return page(
        connection, query, IMAGE.accepted_at, IMAGE.image_id, limit=limit, after=after, descending=True
    )


def uploads(
    connection: sa.Connection, state: str | None, limit: int, after: str | None
) -> tuple[list[Row], str | None]:
    """Uploads with what became of them, newest id first."""
    query = sa.select(
        UPLOAD.upload_id,
        UPLOAD.state,
        UPLOAD.file_name,
        UPLOAD.code,
        UPLOAD.detail,
        UPLOAD.image_id,
        UPLOAD.source,
        UPLOAD.guest,
        UPLOAD.benchmark,
        UPLOAD.offered_label,
        UPLOAD.uploaded_by,
        UPLOAD.uploaded_at,
        UPLOAD.outcome_at,
        UPLOAD.size_bytes,
        UPLOAD.content_sha256,
    )
    if state is not None:
        query = query.where(UPLOAD.state == state)
    return page(connection, query, UPLOAD.upload_id, limit=limit, after=after, descending=True)


def newest_rejections(connection: sa.Connection, limit: int) -> list[Row]:
    """Rejected uploads, newest first."""
    query = (
        sa.select(UPLOAD.upload_id, UPLOAD.file_name, UPLOAD.code, UPLOAD.detail, UPLOAD.outcome_at)
        .where(UPLOAD.state == "rejected")
        .order_by(UPLOAD.outcome_at.desc(), UPLOAD.upload_id)
    )
    return rows(connection, query.limit(limit))


def classes(connection: sa.Connection, limit: int | None = None) -> list[Row]:
    """Labels with their images, the largest first."""
    query = sa.select(rpt_classes_v1).order_by(rpt_classes_v1.c.images.desc(), rpt_classes_v1.c.label)
    return rows(connection, query.limit(limit))


def class_count(connection: sa.Connection) -> int:
    """How many labels there are."""
    return connection.scalar(sa.select(sa.func.count()).select_from(rpt_classes_v1)) or 0


def samples(connection: sa.Connection, labels: list[str]) -> dict[str, list[str]]:
    """Label -> ids of up to SAMPLES images of it, always the same ones."""
    place = sa.func.row_number().over(partition_by=IMAGE.label, order_by=IMAGE.image_id).label("place")
    numbered = sa.select(IMAGE.label, IMAGE.image_id, place).where(IMAGE.label.in_(labels)).subquery()
    chosen = sa.select(numbered.c.label, numbered.c.image_id).where(numbered.c.place <= SAMPLES)
    found: dict[str, list[str]] = {}
    for label, image_id in connection.execute(chosen.order_by(numbered.c.label, numbered.c.image_id)):
        found.setdefault(label, []).append(image_id)
    return found


def thumbnail(connection: sa.Connection, image_id: str) -> ObjectRef | None:
    """Where the thumbnail of an accepted image lies."""
    row = first(
        connection,
        sa.select(
            IMAGE.thumbnail_bucket,
            IMAGE.thumbnail_key,
            IMAGE.thumbnail_size_bytes,
            IMAGE.thumbnail_sha256,
        ).where(IMAGE.image_id == image_id),
    )
    if row is None:
        return None
    return ObjectRef(
        bucket=row["thumbnail_bucket"],
        key=row["thumbnail_key"],
        size=row["thumbnail_size_bytes"],
        sha256=row["thumbnail_sha256"],
    )
