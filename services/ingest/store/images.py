"""Images and their verdicts, inside the transaction of the caller."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC
from typing import Any

import sqlalchemy as sa

from contracts.events import ImageAccepted, ImageDeduplicated, ImageFlagged
from contracts.values import ImageId
from services.ingest.domain.faults import ImageNotYetKnown
from services.ingest.store.pages import pages
from services.ingest.store.tables import image, image_flag


def known_images(connection: sa.Connection, image_ids: Collection[ImageId]) -> frozenset[ImageId]:
    """Those of ``image_ids`` that the library has."""
    query = sa.select(image.c.image_id).where(image.c.image_id.in_(image_ids))
    return frozenset(connection.scalars(query))


def locked_images(
    connection: sa.Connection, image_ids: Iterable[ImageId], *columns: sa.Column[Any]
) -> Iterator[sa.Row[Any]]:
    """``image_id`` and ``columns`` of those that are known, locked until the transaction ends."""
    for page in pages(image_ids):
        query = sa.select(image.c.image_id, *columns).where(image.c.image_id.in_(page))
        yield from connection.execute(query.order_by(image.c.image_id).with_for_update())


def images_by_pixels(connection: sa.Connection, digests: Collection[str]) -> dict[str, ImageId]:
    """The library's image of each pixel digest it has."""
    query = sa.select(image.c.pixel_sha256, image.c.image_id).where(image.c.pixel_sha256.in_(digests))
    return {row.pixel_sha256: row.image_id for row in connection.execute(query)}


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
            "width_px": item.width_px,
            "height_px": item.height_px,
            "image_format": item.image_format,
            "quality": [measure.model_dump() for measure in item.quality],
            "source": item.source,
            "guest": item.guest,
            "visit": item.visit,
            "tags": list(item.tags),
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


def add_flags(connection: sa.Connection, flagged: Sequence[ImageFlagged]) -> None:
    """Keep the flags of images that this transaction added."""
    rows = [
        {"image_id": item.image_id, "flag": flag.flag, "value": flag.value, "threshold": flag.threshold}
        for item in flagged
        for flag in item.flags
    ]
    if rows:
        connection.execute(sa.insert(image_flag), rows)


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
