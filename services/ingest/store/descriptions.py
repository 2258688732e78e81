"""Images with all that is known of them, as HTTP tells it: JSON values, times in ISO format."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from contracts.taxonomy import Classes
from contracts.values import ImageId, LabelKind, ObjectRef
from services.ingest.store.double_checks import open_double_check
from services.ingest.store.opinions import disagreement_clause, opinion_count
from services.ingest.store.tables import image, image_flag, suggestion, upload
from services.ingest.store.taxonomy import current_taxonomy

Row = dict[str, Any]

AS_STORED = (
    "image_id", "label", "source", "guest", "visit", "benchmark", "verdict", "duplicate_of", "width_px",
    "height_px", "image_format", "upload_id",
)  # fmt: skip
ADAPTED = ("label_kind", "group_id", "tags", "taken_at", "accepted_at")
OBJECTS = ("original", "normalised", "thumbnail")


def describe(connection: sa.Connection, image_ids: Sequence[ImageId]) -> list[Row]:
    """The images of ``image_ids`` that the library has, sorted by id; at most a page of them."""
    taxonomy = current_taxonomy(connection)
    classes = taxonomy.at(taxonomy.version)
    flags = _flags(connection, image_ids)
    query = (
        sa.select(
            *(image.c[name] for name in (*AS_STORED, *ADAPTED)),
            upload.c.file_name,
            upload.c.upstream_id,
            suggestion.c.model_version,
            suggestion.c.top,
            open_double_check().label("double_check"),
            opinion_count().label("opinions"),
            disagreement_clause().label("disagreement"),
        )
        .outerjoin(upload, upload.c.upload_id == image.c.upload_id)
        .outerjoin(suggestion, suggestion.c.image_id == image.c.image_id)
        .where(image.c.image_id.in_(image_ids))
        .order_by(image.c.image_id)
    )
    return [_told(row, classes, flags.get(row.image_id, [])) for row in connection.execute(query).mappings()]


def stored_object(
    connection: sa.Connection, image_id: ImageId, name: str
) -> tuple[ObjectRef, str | None] | None:
    """Where the image's ``name`` (one of OBJECTS) lies, and the format it was uploaded in."""
    query = sa.select(image.c[name], image.c.image_format).where(image.c.image_id == image_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else (ObjectRef.model_validate(row[0]), row[1])


def iso(value: datetime | None) -> str | None:
    """A time as JSON has it; SQLite gives it back without its zone, which is UTC."""
    if value is None:
        return None
    aware = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return aware.isoformat().replace("+00:00", "Z")


def _told(row: sa.RowMapping, classes: Classes, flags: list[Row]) -> Row:
    trained = row["label_kind"] == LabelKind.CLASS
    suggested = None
    if row["model_version"] is not None:
        suggested = {"model_version": row["model_version"], "top": row["top"]}
    return {
        **{name: row[name] for name in AS_STORED},
        "file_name": row["file_name"],
        "upstream_id": row["upstream_id"],
        "kind": row["label_kind"],
        "class_name": classes.class_of(row["label"]) if trained else None,
        "group": row["group_id"],
        "tags": row["tags"] or [],
        "taken_at": iso(row["taken_at"]),
        "accepted_at": iso(row["accepted_at"]),
        "flags": flags,
        "suggestion": suggested,
        "double_check": row["double_check"],
        "opinions": row["opinions"],
        "disagreement": bool(row["disagreement"]),
    }


def _flags(connection: sa.Connection, image_ids: Sequence[ImageId]) -> dict[ImageId, list[Row]]:
    query = (
        sa.select(image_flag)
        .where(image_flag.c.image_id.in_(image_ids))
        .order_by(image_flag.c.image_id, image_flag.c.flag)
    )
    found: dict[ImageId, list[Row]] = {}
    for row in connection.execute(query):
        told = {"flag": row.flag, "value": row.value, "threshold": row.threshold}
        found.setdefault(row.image_id, []).append(told)
    return found
