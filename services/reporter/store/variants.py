"""Questions about smaller variants of models."""

from __future__ import annotations

import sqlalchemy as sa

from services.reporter.store.reading import Row, rows
from services.reporter.store.views import rpt_model_variants_v1

VARIANT = rpt_model_variants_v1.c


def variants(connection: sa.Connection, model_version: str) -> list[Row]:
    """What every request for smaller variants of the model gave, the newest request first."""
    query = (
        sa.select(rpt_model_variants_v1)
        .where(VARIANT.model_version == model_version)
        .order_by(VARIANT.compressed_at.desc(), VARIANT.request_id, VARIANT.variant_position)
    )
    return rows(connection, query)
