"""Quality flags of images, as the library says them: of the picture, not of its label."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from contracts.events import ImageFlagged
from services.evaluator.store.tables import flags_table
from services.runtime.database import Unit, upsert


def record_flags(unit: Unit, said: Sequence[ImageFlagged]) -> None:
    """Remember each image's newest flags; what comes twice or too late changes nothing."""
    newest: dict[str, ImageFlagged] = {}
    for one in said:
        if one.image_id not in newest or one.revision > newest[one.image_id].revision:
            newest[one.image_id] = one
    rows = [
        {
            "image_id": one.image_id,
            "revision": one.revision,
            "flags": sorted({flag.flag.value for flag in one.flags}),
        }
        for one in sorted(newest.values(), key=lambda one: one.image_id)  # one order of locks for all
    ]
    upsert(
        unit.connection, flags_table, rows,
        where=lambda excluded: excluded.revision > flags_table.c.revision,
    )  # fmt: skip


def flags_of_images(connection: sa.Connection) -> dict[str, list[str]]:
    """Names of the flags by image id, of the images that have any now; sorted."""
    query = sa.select(flags_table.c.image_id, flags_table.c.flags).order_by(flags_table.c.image_id)
    return {row.image_id: row.flags for row in connection.execute(query) if row.flags}
