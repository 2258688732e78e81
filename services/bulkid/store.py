"""Bulkid's tables: snapshots and exported models it heard of, its runs and the pages it told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from contracts.events import BulkCompleted, BulkIdentified, ModelExported, SnapshotPacked
from services.runtime.database import Unit, new_metadata, upsert

metadata = new_metadata()

snapshot_table = sa.Table(
    "snapshot",
    metadata,
    sa.Column("snapshot_id", sa.Text, primary_key=True),
    sa.Column("packed", sa.JSON, nullable=False),  # the event
    sa.Column("packed_at", sa.DateTime(timezone=True), nullable=False),
)

model_table = sa.Table(
    "model",
    metadata,
    sa.Column("model_version", sa.Text, primary_key=True),
    sa.Column("exported", sa.JSON, nullable=False),  # the event
    sa.Column("exported_at", sa.DateTime(timezone=True), nullable=False),
)

run_table = sa.Table(
    "run",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("model_version", sa.Text, nullable=False),
    sa.Column("snapshot_id", sa.Text, nullable=False),
    sa.Column("threshold_percent", sa.Float, nullable=False),
    sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
)

page_table = sa.Table(
    "page",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("page", sa.Integer, primary_key=True),
    sa.Column("identified", sa.Integer, nullable=False),
    sa.Column("above_threshold", sa.Integer, nullable=False),
)


@dataclass(frozen=True)
class Run:
    """One identification: model, snapshot and threshold are fixed when it is opened."""

    run_id: str
    model_version: str
    snapshot_id: str
    threshold_percent: float
    completed_at: datetime | None


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


def find_run(connection: sa.Connection, run_id: str) -> Run | None:
    """The run of that id, or None."""
    row = connection.execute(sa.select(run_table).where(run_table.c.run_id == run_id)).one_or_none()
    return None if row is None else Run(**row._mapping)


def open_run(unit: Unit, run: Run) -> Run:
    """Fix the run's model, snapshot and threshold; the one opened first stays and is returned."""
    upsert(unit.connection, run_table, [vars(run)], update=[])
    opened = find_run(unit.connection, run.run_id)
    assert opened is not None
    return opened


def pages_told(connection: sa.Connection, run_id: str) -> set[int]:
    """Numbers of the pages that are stored with their messages."""
    query = sa.select(page_table.c.page).where(page_table.c.run_id == run_id)
    return set(connection.execute(query).scalars())


def record_pages(unit: Unit, pages: Sequence[BulkIdentified], threshold: float) -> None:
    """Store and tell pages; a page that was told before is left as it was told."""
    if not pages:
        return
    told = pages_told(unit.connection, pages[0].run_id)
    for page in pages:
        if page.page in told:
            continue
        above = sum(result.top[0].confidence >= threshold for result in page.results)
        row = {
            "run_id": page.run_id, "page": page.page,
            "identified": len(page.results), "above_threshold": above,
        }  # fmt: skip
        unit.connection.execute(sa.insert(page_table).values(row))
        unit.emit(page)


def complete_run(unit: Unit, run: Run, completed_at: datetime) -> BulkCompleted | None:
    """Close the run and tell its counts, once; None when it was told before."""
    closing = (
        sa.update(run_table)
        .where(run_table.c.run_id == run.run_id, run_table.c.completed_at.is_(None))
        .values(completed_at=completed_at)
    )
    if unit.connection.execute(closing).rowcount == 0:
        return None
    counts = sa.select(
        sa.func.coalesce(sa.func.sum(page_table.c.identified), 0),
        sa.func.coalesce(sa.func.sum(page_table.c.above_threshold), 0),
    ).where(page_table.c.run_id == run.run_id)
    identified, above = unit.connection.execute(counts).one()
    completed = BulkCompleted(
        run_id=run.run_id,
        model_version=run.model_version,
        snapshot_id=run.snapshot_id,
        identified=identified,
        above_threshold=above,
        threshold=run.threshold_percent,
        completed_at=completed_at,
    )
    unit.emit(completed)
    return completed
