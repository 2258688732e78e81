"""How many images have which label, of the library and of its snapshots."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from contracts.taxonomy import Taxonomy
from contracts.values import LabelKind, ObjectRef, Source
from services.ingest.domain.classes import LabelCount
from services.ingest.store.tables import image, snapshot
from services.ingest.store.taxonomy import current_taxonomy


def counted_library(connection: sa.Connection) -> tuple[Taxonomy, Sequence[LabelCount]]:
    """The taxonomy and the counts of labels of the same moment; nothing was asked of the connection yet."""
    if connection.dialect.name == "postgresql":
        # A rename changes both at once; two statements must not see one without the other.
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    return current_taxonomy(connection), label_counts(connection)


def label_counts(connection: sa.Connection) -> Sequence[LabelCount]:
    """Images of the library by label, kind and source."""
    keys = image.c.label, image.c.label_kind, image.c.source
    query = sa.select(*keys, sa.func.count().label("images")).group_by(*keys)
    return [
        LabelCount(
            row.label,
            None if row.label_kind is None else LabelKind(row.label_kind),
            Source(row.source),
            row.images,
        )
        for row in connection.execute(query)
    ]


def manifest_of(connection: sa.Connection, snapshot_id: str) -> tuple[ObjectRef, int] | None:
    """Where the manifest of a snapshot lies, and the version of the taxonomy it was packed under."""
    query = sa.select(snapshot.c.manifest, snapshot.c.taxonomy_version).where(
        snapshot.c.snapshot_id == snapshot_id
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else (ObjectRef.model_validate(row.manifest), row.taxonomy_version)
