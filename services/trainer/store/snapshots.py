"""Snapshots that the trainer heard of."""

from __future__ import annotations

import sqlalchemy as sa

from contracts.events import SnapshotPacked
from services.runtime.database import Unit, upsert
from services.trainer.store.tables import snapshot_table


def record_snapshot(unit: Unit, packed: SnapshotPacked) -> None:
    """Remember where a snapshot lies; the same event again changes nothing."""
    row = {"snapshot_id": packed.snapshot_id, "packed": packed.model_dump(mode="json")}
    upsert(unit.connection, snapshot_table, [row], update=[])


def find_snapshot(connection: sa.Connection, snapshot_id: str) -> SnapshotPacked | None:
    """The snapshot, or None when it was not heard of yet."""
    query = sa.select(snapshot_table.c.packed).where(snapshot_table.c.snapshot_id == snapshot_id)
    packed = connection.execute(query).scalar_one_or_none()
    return None if packed is None else SnapshotPacked.model_validate(packed)
