"""The newest label of each image, known to dedup or not yet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from contracts.events import ImageLabelled, ImageUnlabelled
from contracts.values import ImageId, LabelKind
from services.dedup.store.images import chunks
from services.dedup.store.tables import label
from services.runtime.database import upsert


@dataclass(frozen=True)
class LabelNews:
    """What was said of an image's label; both None: it has none any more."""

    image_id: ImageId
    revision: int
    label: str | None
    kind: LabelKind | None

    @classmethod
    def of(cls, message: ImageLabelled | ImageUnlabelled) -> LabelNews:
        """From what ingest says."""
        if isinstance(message, ImageUnlabelled):
            return cls(message.image_id, message.revision, None, None)
        return cls(message.image_id, message.revision, message.label, message.kind)


def note_labels(connection: sa.Connection, news: Iterable[LabelNews]) -> None:
    """Keep the highest revision of each image."""
    rows = [
        {
            "image_id": item.image_id,
            "revision": item.revision,
            "label": item.label,
            "kind": None if item.kind is None else item.kind.value,
        }
        for item in news
    ]
    upsert(connection, label, rows, where=lambda excluded: excluded.revision > label.c.revision)


def rejected_images(connection: sa.Connection, image_ids: Iterable[ImageId]) -> set[ImageId]:
    """Those of ``image_ids`` that a person took out of use."""
    found: set[ImageId] = set()
    for chunk in chunks(image_ids):
        query = sa.select(label.c.image_id).where(
            label.c.image_id.in_(chunk), label.c.kind == LabelKind.REJECTED.value
        )
        found.update(connection.scalars(query))
    return found
