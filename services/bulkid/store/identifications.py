"""Identifications and the pages they told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from contracts.events import BulkCompleted, BulkIdentified
from services.bulkid.store.tables import page_table, run_table
from services.runtime.database import Unit, upsert


@dataclass(frozen=True)
class Run:
    """One identification: model, snapshot and threshold are fixed when it is opened."""

    run_id: str
    model_version: str
    snapshot_id: str
    threshold_percent: float
    completed_at: datetime | None


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
