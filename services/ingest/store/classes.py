"""How many images of the library have which label."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from contracts.taxonomy import Taxonomy
from contracts.values import Source
from services.ingest.domain.classes import LabelCount
from services.ingest.domain.labels import stored_kind
from services.ingest.store.tables import image
from services.ingest.store.taxonomy import at_one_moment, current_taxonomy


def counted_library(connection: sa.Connection) -> tuple[Taxonomy, Sequence[LabelCount]]:
    """The taxonomy and the counts of labels of the same moment; nothing was asked of the connection yet."""
    at_one_moment(connection)
    return current_taxonomy(connection), label_counts(connection)


def label_counts(connection: sa.Connection) -> Sequence[LabelCount]:
    """Images of the library by label, kind and source."""
    keys = image.c.label, image.c.label_kind, image.c.source
    query = sa.select(*keys, sa.func.count().label("images")).group_by(*keys)
    return [
        LabelCount(row.label, stored_kind(row.label_kind), Source(row.source), row.images)
        for row in connection.execute(query)
    ]
