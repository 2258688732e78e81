"""Second opinions on labels, inside the transaction of the caller, and how listings ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC

import sqlalchemy as sa

from contracts.events import OpinionGiven
from contracts.values import ImageId, LabelKind
from services.ingest.domain.labels import Opinion
from services.ingest.store.tables import image, label_change, opinion


def newest_revision(connection: sa.Connection, image_id: ImageId) -> int:
    """How many opinions were given on the image; its row is locked by the caller."""
    query = sa.select(sa.func.max(opinion.c.revision)).where(opinion.c.image_id == image_id)
    return connection.scalar(query) or 0


def keep_opinion(connection: sa.Connection, given: OpinionGiven) -> None:
    """Add an opinion; those of the same person before it stay in the history."""
    row = {
        "image_id": given.image_id,
        "revision": given.revision,
        "label": given.label,
        "label_kind": given.kind,
        "given_by": given.by,
        "given_at": given.given_at.astimezone(UTC),
        "reason": given.reason,
    }
    connection.execute(sa.insert(opinion).values(row))


def opinions_of(connection: sa.Connection, image_id: ImageId) -> Sequence[Opinion]:
    """All opinions on an image, oldest first."""
    query = sa.select(opinion).where(opinion.c.image_id == image_id).order_by(opinion.c.revision)
    return [Opinion(row.given_by, row.label, LabelKind(row.label_kind)) for row in connection.execute(query)]


def disagreement_clause() -> sa.ColumnElement[bool]:
    """``domain.labels.disagreement`` in SQL, for queries on ``image``: as a condition and as a column."""
    newer = opinion.alias("newer_opinion")
    overtaken = sa.exists().where(
        newer.c.image_id == opinion.c.image_id,
        newer.c.given_by == opinion.c.given_by,
        newer.c.revision > opinion.c.revision,
    )
    # Without a label both comparisons are NULL, and so nobody differs from it.
    differs = sa.or_(opinion.c.label != image.c.label, opinion.c.label_kind != image.c.label_kind)
    return (
        sa.exists()
        .where(
            opinion.c.image_id == image.c.image_id,
            differs,
            opinion.c.given_by != _labeller(),
            sa.not_(overtaken.correlate(opinion)),
        )
        .correlate(image)
    )


def opinion_count() -> sa.ScalarSelect[int]:
    """How many people said what the image is, for queries on ``image``: who labelled it is the first."""
    others = (
        sa.select(sa.func.count(opinion.c.given_by.distinct()))
        .where(opinion.c.image_id == image.c.image_id, opinion.c.given_by != _labeller())
        .correlate(image)
        .scalar_subquery()
    )
    labelled = sa.case((image.c.label.is_not(None), 1), else_=0)
    return sa.select(others + labelled).correlate(image).scalar_subquery()


def _labeller() -> sa.ColumnElement[str]:
    """Who set the current label; no person has the empty name that stands for nobody."""
    query = (
        sa.select(label_change.c.changed_by)
        .where(
            label_change.c.image_id == image.c.image_id,
            label_change.c.revision == image.c.label_revision,
            label_change.c.label.is_not(None),
        )
        .correlate(image)
        .scalar_subquery()
    )
    return sa.func.coalesce(query, "")
