"""Labels and their history, inside the transaction of the caller."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC
from typing import Any

import sqlalchemy as sa

from contracts.values import ImageId
from services.ingest.domain.facts import LabelFact
from services.ingest.domain.labels import ImageLabel, LabelChange, stored_kind
from services.ingest.store.images import locked_images
from services.ingest.store.tables import image, label_change


def lock_labels(connection: sa.Connection, image_ids: Iterable[ImageId]) -> dict[ImageId, ImageLabel]:
    """Labels of the images that are known, locked until the transaction ends."""
    columns = image.c.label, image.c.label_kind, image.c.label_revision
    return {
        row.image_id: ImageLabel(row.label, stored_kind(row.label_kind), row.label_revision)
        for row in locked_images(connection, image_ids, *columns)
    }


def ordered_together(connection: sa.Connection, change_id: str) -> dict[ImageId, list[LabelChange]]:
    """The changes with that change id, by image."""
    found: dict[ImageId, list[LabelChange]] = defaultdict(list)
    for row in connection.execute(sa.select(label_change).where(label_change.c.change_id == change_id)):
        found[row.image_id].append(
            LabelChange(
                row.revision,
                row.previous_label,
                stored_kind(row.previous_kind),
                row.label,
                stored_kind(row.label_kind),
            )
        )
    return found


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
        "previous_kind": fact.change.previous_kind,
        "label": fact.change.text,
        "label_kind": fact.change.kind,
        "changed_by": fact.by,
        "changed_at": fact.at.astimezone(UTC),
        "reason": fact.reason,
        "suggestion": None if fact.suggestion is None else fact.suggestion.model_dump(),
        "change_id": fact.change_id,
    }
