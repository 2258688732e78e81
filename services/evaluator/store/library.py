"""Snapshots and versions of the taxonomy that the evaluator heard of."""

from __future__ import annotations

import sqlalchemy as sa

from contracts.events import SnapshotPacked, TaxonomyChanged
from contracts.taxonomy import Operation, Taxonomy
from services.evaluator.store.tables import snapshot_table, taxonomy_table
from services.runtime.database import Unit, upsert


def record_snapshot(unit: Unit, packed: SnapshotPacked) -> None:
    """Remember where a snapshot lies; the same event again changes nothing."""
    row = {"snapshot_id": packed.snapshot_id, "packed": packed.model_dump(mode="json")}
    upsert(unit.connection, snapshot_table, [row], update=[])


def find_snapshot(connection: sa.Connection, snapshot_id: str) -> SnapshotPacked | None:
    """The snapshot, or None when it was not heard of yet."""
    query = sa.select(snapshot_table.c.packed).where(snapshot_table.c.snapshot_id == snapshot_id)
    packed = connection.execute(query).scalar_one_or_none()
    return None if packed is None else SnapshotPacked.model_validate(packed)


def newest_snapshots(connection: sa.Connection) -> list[SnapshotPacked]:
    """All that were heard of, the newest first."""
    rows = connection.execute(sa.select(snapshot_table.c.packed)).scalars()
    packed = [SnapshotPacked.model_validate(row) for row in rows]
    return sorted(packed, key=lambda one: (one.packed_at, one.snapshot_id), reverse=True)


def record_operation(unit: Unit, changed: TaxonomyChanged) -> None:
    """Remember what made a version; the same event again changes nothing."""
    row = {"version": changed.version, "operation": changed.operation.model_dump(mode="json")}
    upsert(unit.connection, taxonomy_table, [row], update=[])


def taxonomy(connection: sa.Connection) -> Taxonomy:
    """All versions up to the first that was not heard of yet."""
    query = sa.select(taxonomy_table.c.operation).order_by(taxonomy_table.c.version)
    heard = [Operation.model_validate(one) for one in connection.execute(query).scalars()]
    whole = [one for number, one in enumerate(heard, 1) if one.version == number]
    return Taxonomy(operations=tuple(whole))
