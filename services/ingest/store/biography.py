"""All that ever happened to one image, oldest first, as HTTP tells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from contracts.values import ImageId
from services.ingest.store.descriptions import describe, iso
from services.ingest.store.tables import benchmark_change, double_check, image, label_change, opinion, upload

Row = dict[str, Any]

# Told name by column, in the order of the answer.
LABEL_CHANGE = {
    "revision": "revision", "previous_label": "from", "previous_kind": "from_kind", "label": "to",
    "label_kind": "to_kind", "changed_by": "by", "changed_at": "at", "reason": "reason",
    "suggestion": "suggestion", "change_id": "change_id",
}  # fmt: skip
OPINION = {
    "revision": "revision", "label": "label", "label_kind": "kind", "given_by": "by", "given_at": "at",
    "reason": "reason",
}  # fmt: skip
DOUBLE_CHECK = {
    "revision": "revision", "reason": "reason", "requested_by": "by", "requested_at": "at",
    "taxonomy_version": "taxonomy_version", "verdict": "verdict", "verdict_reason": "verdict_reason",
    "checked_by": "checked_by", "checked_at": "checked_at",
}  # fmt: skip
BENCHMARK_CHANGE = {
    "revision": "revision", "previous_benchmark": "from", "benchmark": "to", "changed_by": "by",
    "changed_at": "at", "reason": "reason",
}  # fmt: skip
UPLOAD = {
    "upload_id": "upload_id", "outcome": "state", "file_name": "file_name", "upstream_id": "upstream_id",
    "image_id": "image_id", "same_as": "same_as", "uploaded_by": "uploaded_by",
    "uploaded_at": "uploaded_at", "settled_at": "settled_at",
}  # fmt: skip


def biography(connection: sa.Connection, image_id: ImageId) -> Row | None:
    """The image as ``describe`` tells it, with its measures and its history; None when there is none."""
    described = describe(connection, [image_id])
    if not described:
        return None
    quality = connection.scalar(sa.select(image.c.quality).where(image.c.image_id == image_id))
    of_image = upload.c.image_id == image_id
    return {
        **described[0],
        "quality": quality or [],
        "history": _rows(connection, label_change, LABEL_CHANGE, label_change.c.image_id == image_id),
        "opinion_list": _rows(connection, opinion, OPINION, opinion.c.image_id == image_id),
        "double_checks": _rows(connection, double_check, DOUBLE_CHECK, double_check.c.image_id == image_id),
        "benchmark_history": _rows(
            connection, benchmark_change, BENCHMARK_CHANGE, benchmark_change.c.image_id == image_id
        ),
        # Copies in another format have ids of their own and are the same image.
        "uploads": _rows(connection, upload, UPLOAD, sa.or_(of_image, upload.c.same_as == image_id)),
    }


def _rows(
    connection: sa.Connection, table: sa.Table, names: Mapping[str, str], which: sa.ColumnElement[bool]
) -> list[Row]:
    query = sa.select(*(table.c[column] for column in names)).where(which).order_by(*table.primary_key)
    return [
        {told: iso(row[column]) if column.endswith("_at") else row[column] for column, told in names.items()}
        for row in connection.execute(query).mappings()
    ]
