"""What the newest model offers for each image, inside the transaction of the caller."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC
from typing import Any

import sqlalchemy as sa

from contracts.events import BulkIdentified
from contracts.values import ImageId, Suggestion
from services.ingest.store.images import known_images
from services.ingest.store.pages import pages
from services.ingest.store.tables import suggestion
from services.runtime.database import upsert


def note_identified(connection: sa.Connection, identified: Sequence[BulkIdentified]) -> None:
    """Keep what the newest model said of each image, in whatever order the pages come.

    Of one model's runs the later one counts. Images that the library does not have are passed over.
    """
    rows = {
        result.image_id: {
            "image_id": result.image_id,
            "model_version": page.model_version,
            "top": [candidate.model_dump() for candidate in result.top],
            "identified_at": page.identified_at.astimezone(UTC),
        }
        for page in sorted(identified, key=lambda page: (int(page.model_version), page.identified_at))
        for result in page.results
    }
    for ids in pages(rows):
        known = known_images(connection, ids)
        upsert(connection, suggestion, [rows[i] for i in ids if i in known], where=_is_newer)


def suggestions_of(connection: sa.Connection, image_ids: Iterable[ImageId]) -> dict[ImageId, Suggestion]:
    """What the newest model said of those images that one identified."""
    found: dict[ImageId, Suggestion] = {}
    for page in pages(image_ids):
        query = sa.select(suggestion).where(suggestion.c.image_id.in_(page))
        for row in connection.execute(query):
            found[row.image_id] = Suggestion(model_version=row.model_version, top=row.top)
    return found


def _is_newer(excluded: Any) -> sa.ColumnElement[bool]:
    # As numbers: "1000" is newer than "999".
    said, held = (sa.cast(row.model_version, sa.Integer) for row in (excluded, suggestion.c))
    later: sa.ColumnElement[bool] = excluded.identified_at > suggestion.c.identified_at
    return sa.or_(said > held, sa.and_(said == held, later))
