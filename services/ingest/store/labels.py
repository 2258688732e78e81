"""Labels and their history, inside the transaction of the caller."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC
from typing import Any

import sqlalchemy as sa

from contracts.values import ImageId, LabelKind
from services.ingest.domain.facts import LabelFact
from services.ingest.domain.labels import ImageLabel
from services.ingest.store.tables import image, label_change


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
