"""Double-checks of labels, inside the transaction of the caller; an image has at most one open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC

import sqlalchemy as sa

from contracts.events import DoubleChecked, DoubleCheckRequested
from contracts.values import ImageId
from services.ingest.store.pages import pages
from services.ingest.store.tables import double_check, image

OPEN = double_check.c.verdict.is_(None)


def open_double_check() -> sa.ScalarSelect[str]:
    """Reason of the image's open double-check or NULL, for queries on ``image``."""
    query = sa.select(double_check.c.reason).where(double_check.c.image_id == image.c.image_id, OPEN)
    return query.correlate(image).scalar_subquery()


def open_revisions(connection: sa.Connection, image_ids: Iterable[ImageId]) -> dict[ImageId, int]:
    """Revision of the open double-check of those images that have one."""
    found: dict[ImageId, int] = {}
    for page in pages(image_ids):
        query = sa.select(double_check.c.image_id, double_check.c.revision).where(
            double_check.c.image_id.in_(page), OPEN
        )
        found.update((row.image_id, row.revision) for row in connection.execute(query))
    return found


def newest_revisions(connection: sa.Connection, image_ids: Iterable[ImageId]) -> dict[ImageId, int]:
    """How many double-checks those images had that had any; their rows are locked by the caller."""
    found: dict[ImageId, int] = {}
    for page in pages(image_ids):
        query = (
            sa.select(double_check.c.image_id, sa.func.max(double_check.c.revision).label("newest"))
            .where(double_check.c.image_id.in_(page))
            .group_by(double_check.c.image_id)
        )
        found.update((row.image_id, row.newest) for row in connection.execute(query))
    return found


def opened_by_split(connection: sa.Connection, taxonomy_version: int) -> frozenset[ImageId]:
    """Images whose open double-check a split asked for."""
    query = sa.select(double_check.c.image_id).where(
        double_check.c.taxonomy_version == taxonomy_version, OPEN
    )
    return frozenset(connection.scalars(query))


def keep_requested(
    connection: sa.Connection, requested: Sequence[DoubleCheckRequested], taxonomy_version: int | None
) -> None:
    """Add open double-checks."""
    rows = [
        {
            "image_id": item.image_id,
            "revision": item.revision,
            "reason": item.reason,
            "requested_by": item.by,
            "requested_at": item.requested_at.astimezone(UTC),
            "taxonomy_version": taxonomy_version,
        }
        for item in requested
    ]
    if rows:
        connection.execute(sa.insert(double_check), rows)


def keep_checked(connection: sa.Connection, checked: Sequence[DoubleChecked]) -> None:
    """Note how double-checks ended."""
    statement = (
        sa.update(double_check)
        .where(
            double_check.c.image_id == sa.bindparam("key"), double_check.c.revision == sa.bindparam("number")
        )
        .values(
            {
                name: sa.bindparam(f"new_{name}")
                for name in ("verdict", "verdict_reason", "checked_by", "checked_at")
            }
        )
    )
    rows = [
        {
            "key": item.image_id,
            "number": item.revision,
            "new_verdict": item.verdict,
            "new_verdict_reason": item.reason,
            "new_checked_by": item.by,
            "new_checked_at": item.checked_at.astimezone(UTC),
        }
        for item in checked
    ]
    if rows:
        connection.execute(statement, rows)
