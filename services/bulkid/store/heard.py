"""Snapshots, and models to identify with, that bulkid heard of."""

from __future__ import annotations

from datetime import UTC

import sqlalchemy as sa

from contracts.events import ModelExported, SnapshotPacked
from services.bulkid.domain.models import is_exported
from services.bulkid.store.tables import model_table, snapshot_table
from services.runtime.database import Unit, upsert


def record_snapshot(unit: Unit, packed: SnapshotPacked) -> None:
    """Remember the snapshot; of two packs of the same state the later time counts."""
    row = {
        "snapshot_id": packed.snapshot_id,
        "packed": packed.model_dump(mode="json"),
        "packed_at": packed.packed_at.astimezone(UTC),  # SQLite drops the zone
    }
    upsert(
        unit.connection, snapshot_table, [row],
        where=lambda new: new.packed_at > snapshot_table.c.packed_at,
    )  # fmt: skip


def find_snapshot(connection: sa.Connection, snapshot_id: str) -> SnapshotPacked | None:
    """The snapshot of that id, or None when it was never heard of."""
    query = sa.select(snapshot_table.c.packed).where(snapshot_table.c.snapshot_id == snapshot_id)
    packed = connection.execute(query).scalar_one_or_none()
    return None if packed is None else SnapshotPacked.model_validate(packed)


def newest_snapshot(connection: sa.Connection) -> SnapshotPacked | None:
    """The snapshot packed last, or None when there is none."""
    order = (snapshot_table.c.packed_at.desc(), snapshot_table.c.snapshot_id.desc())
    query = sa.select(snapshot_table.c.packed).order_by(*order).limit(1)
    packed = connection.execute(query).scalar_one_or_none()
    return None if packed is None else SnapshotPacked.model_validate(packed)


def record_model(unit: Unit, exported: ModelExported) -> None:
    """Remember the export; of two exports of a version the later counts."""
    row = {
        "model_version": exported.model_version,
        "exported": exported.model_dump(mode="json"),
        "exported_at": exported.exported_at.astimezone(UTC),
    }
    upsert(
        unit.connection, model_table, [row],
        where=lambda new: new.exported_at > model_table.c.exported_at,
    )  # fmt: skip


def find_model(connection: sa.Connection, model_version: str) -> ModelExported | None:
    """The exported model of that version, or None when its export was never heard of."""
    query = sa.select(model_table.c.exported).where(model_table.c.model_version == model_version)
    exported = connection.execute(query).scalar_one_or_none()
    return None if exported is None else ModelExported.model_validate(exported)


def newest_model(connection: sa.Connection, image_size_px: int) -> ModelExported | None:
    """The model exported last of those that take images of that size, or None; no throw-away one."""
    order = (model_table.c.exported_at.desc(), model_table.c.model_version.desc())
    query = sa.select(model_table.c.exported).order_by(*order)
    heard = (ModelExported.model_validate(exported) for exported in connection.execute(query).scalars())
    fits = (model for model in heard if is_exported(model) and model.image_size_px == image_size_px)
    return next(fits, None)
