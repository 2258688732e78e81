"""What was told of smaller variants of models."""

from __future__ import annotations

from datetime import UTC

import sqlalchemy as sa

from contracts.events import ModelCompressed
from contracts.values import ModelVersion
from services.runtime.database import Unit
from services.trainer.store.tables import compression_table


def is_compressed(connection: sa.Connection, version: ModelVersion, request_id: str) -> bool:
    """Whether the request was answered."""
    query = sa.select(compression_table.c.request_id).where(
        compression_table.c.model_version == version, compression_table.c.request_id == request_id
    )
    return connection.execute(query).first() is not None


def record_compression(unit: Unit, compressed: ModelCompressed) -> None:
    """Store what came of a request and tell it, once."""
    if is_compressed(unit.connection, compressed.model_version, compressed.request_id):
        return
    row = {
        "model_version": compressed.model_version, "request_id": compressed.request_id,
        "compressed": compressed.model_dump(mode="json"),
        "compressed_at": compressed.compressed_at.astimezone(UTC),
    }  # fmt: skip
    unit.connection.execute(sa.insert(compression_table).values(row))
    unit.emit(compressed)
