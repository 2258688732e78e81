"""Bulkid's tables: what is told is told once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa

from contracts.events import BulkCompleted, BulkIdentified, ModelExported, SnapshotPacked
from deploy.migrate import upgrade
from services.bulkid import store
from services.bulkid.store import Run
from services.runtime.database import Database

NOW = datetime(2026, 11, 21, tzinfo=UTC)
OBJECT = {"bucket": "snapshots", "key": "k", "size": 1, "sha256": "0" * 64}
RUN = Run("bulk-002-0", "002", "s-1", 95.0, None)


pytestmark = pytest.mark.integration


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    upgrade("bulkid", database_url)
    made = Database(database_url, store.metadata, source="bulkid", owner="test")
    yield made
    made.close()


def packed(snapshot_id: str, at: datetime = NOW, **change: Any) -> SnapshotPacked:
    return SnapshotPacked.model_validate(
        {
            "request_id": "r-0001",
            "snapshot_id": snapshot_id,
            "manifest": OBJECT,
            "images": 2,
            "labelled": 1,
            "unlabelled": 1,
            "classes": 1,
            "shards": 1,
            "size_bytes": 1,
            "image_size_px": 8,
            "packed_at": at,
        }
        | change
    )


def exported(request_id: str, at: datetime) -> ModelExported:
    return ModelExported.model_validate(
        {
            "request_id": request_id,
            "model_version": "002",
            "snapshot_id": "s-1",
            "manifest": OBJECT,
            "model": OBJECT,
            "image_size_px": 8,
            "classes": ["a", "b"],
            "exported_at": at,
        }
    )


def page(number: int, *confidences: float) -> BulkIdentified:
    results = [
        {"image_id": f"{number:032x}{index:032x}", "top": [{"label": "a", "confidence": value}]}
        for index, value in enumerate(confidences)
    ]
    return BulkIdentified.model_validate(
        {
            "run_id": RUN.run_id,
            "page": number,
            "model_version": "002",
            "results": results,
            "identified_at": NOW,
        }
    )


async def outbox(database: Database) -> list[str]:
    table = store.metadata.tables["outbox"]
    query = sa.select(table.c.message_id).order_by(table.c.outbox_id)
    return await database.read(lambda c: list(c.execute(query).scalars()))


async def test_the_newest_snapshot_is_the_one_packed_last_in_any_order_of_arrival(database: Database) -> None:
    east = timezone(timedelta(hours=9))
    late, early = (
        packed("s-late", NOW + timedelta(hours=1)),
        packed("s-early", (NOW + timedelta(minutes=5)).astimezone(east)),
    )
    for one in (late, early, late, packed("s-late", NOW - timedelta(days=1))):
        await database.run(lambda unit, one=one: store.record_snapshot(unit, one))
    newest = await database.read(store.newest_snapshot)
    assert newest == late


async def test_no_snapshot_and_no_model_are_none(database: Database) -> None:
    assert await database.read(store.newest_snapshot) is None
    assert await database.read(lambda c: store.find_snapshot(c, "s-1")) is None
    assert await database.read(lambda c: store.find_model(c, "002")) is None


async def test_the_later_export_of_a_version_counts(database: Database) -> None:
    for one in (exported("by-hand", NOW + timedelta(hours=1)), exported("automatic", NOW)):
        await database.run(lambda unit, one=one: store.record_model(unit, one))
    found = await database.read(lambda c: store.find_model(c, "002"))
    assert found is not None
    assert found.request_id == "by-hand"


async def test_a_run_that_was_opened_keeps_its_snapshot(database: Database) -> None:
    await database.run(lambda unit: store.open_run(unit, RUN))
    other = Run(RUN.run_id, "002", "s-2", 90.0, None)
    assert await database.run(lambda unit: store.open_run(unit, other)) == RUN


async def test_pages_and_completion_are_told_once_and_counts_are_of_what_was_told(database: Database) -> None:
    await database.run(lambda unit: store.open_run(unit, RUN))
    await database.run(lambda unit: store.record_pages(unit, [page(1, 99.0, 95.0, 94.999)], 95.0))
    # The second attempt computes a hair's breadth differently; the first one's page was told.
    await database.run(
        lambda unit: store.record_pages(unit, [page(1, 99.0, 94.9, 94.9), page(2, 96.0)], 95.0)
    )
    completed = [await database.run(lambda unit: store.complete_run(unit, RUN, NOW)) for _ in range(2)]
    assert completed[1] is None
    assert completed[0] == BulkCompleted(
        run_id=RUN.run_id,
        model_version="002",
        snapshot_id="s-1",
        identified=4,
        above_threshold=3,
        threshold=95.0,
        completed_at=NOW,
    )
    assert await outbox(database) == [page(1).message_id(), page(2).message_id(), completed[0].message_id()]


async def test_a_run_without_images_completes_with_zero(database: Database) -> None:
    await database.run(lambda unit: store.open_run(unit, RUN))
    await database.run(lambda unit: store.record_pages(unit, [], 95.0))
    completed = await database.run(lambda unit: store.complete_run(unit, RUN, NOW))
    assert completed is not None
    assert (completed.identified, completed.above_threshold) == (0, 0)
