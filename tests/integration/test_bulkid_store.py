"""Bulkid's tables: what is told is told once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from contracts.events import BulkCompleted, BulkIdentified, ModelExported, SnapshotPacked, VectorsComputed
from deploy.migrate import upgrade
from services.bulkid import store
from services.bulkid.store import OthersWereFaster, Run, VectorRun
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
            "manifest": OBJECT | {"bucket": "models", "key": "manifest.json"},
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
        await database.run(partial(store.record_snapshot, packed=one))
    newest = await database.read(store.newest_snapshot)
    assert newest == late


async def test_no_snapshot_and_no_model_are_none(database: Database) -> None:
    assert await database.read(store.newest_snapshot) is None
    assert await database.read(lambda c: store.find_snapshot(c, "s-1")) is None
    assert await database.read(lambda c: store.find_model(c, "002")) is None


async def test_the_later_export_of_a_version_counts(database: Database) -> None:
    for one in (exported("by-hand", NOW + timedelta(hours=1)), exported("automatic", NOW)):
        await database.run(partial(store.record_model, exported=one))
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


def vectors_computed(run_id: str, images: int) -> VectorsComputed:
    return VectorsComputed.model_validate(
        {
            "run_id": run_id, "encoder": "e/1", "snapshot_id": "s-1", "images": images, "dimensions": 3,
            "vectors": OBJECT, "computed_at": NOW,
        }
    )  # fmt: skip


async def test_a_run_of_vectors_is_told_once_and_never_an_image_that_another_told(database: Database) -> None:
    for number in (1, 2):
        run = VectorRun(f"v-{number}", f"request-{number}", "e/1", None, "s-1", None, None)
        opened = await database.run(partial(store.open_vector_run, run=run))
        assert opened == run
    changed = replace(opened, encoder="e/2", snapshot_id="s-2")
    assert await database.run(lambda unit: store.open_vector_run(unit, changed)) == opened

    async def complete(run_id: str, *image_ids: str) -> bool:
        computed = vectors_computed(run_id, len(image_ids))
        work = partial(store.complete_vector_run, computed=computed, image_ids=image_ids, left_over=None)
        return await database.run(work)

    assert await database.read(lambda c: store.known_dimensions(c, "e/1")) is None
    assert await complete("v-1", "b", "a")
    assert not await complete("v-1", "b", "a")
    with pytest.raises(OthersWereFaster):
        await complete("v-2", "b", "c")
    assert sorted(await database.read(lambda c: store.images_with_vector(c, "e/1"))) == ["a", "b"]
    assert await database.read(lambda c: store.images_with_vector(c, "e/2")) == []
    assert await database.read(lambda c: store.find_vector_run(c, "v-2")) == opened
    assert await complete("v-2", "c")
    assert await database.read(lambda c: store.known_dimensions(c, "e/1")) == 3
    outbox = store.metadata.tables["outbox"]
    bodies = await database.read(lambda c: c.execute(sa.select(outbox.c.body)).scalars().all())
    told = [VectorsComputed.model_validate_json(body) for body in bodies]
    assert [(one.run_id, one.images) for one in told] == [("v-1", 2), ("v-2", 1)]


async def test_the_newest_model_is_the_one_exported_last_of_the_size(database: Database) -> None:
    models = [exported("r-1", NOW), exported("r-2", NOW + timedelta(hours=1)), exported("r-3", NOW)]
    sizes = {"002": 28, "003": 299, "004": 28}
    for one, (version, size) in zip(models, sizes.items(), strict=True):
        changed = one.model_copy(update={"model_version": version, "image_size_px": size})
        await database.run(partial(store.record_model, exported=changed))

    async def newest(size_px: int) -> str | None:
        found = await database.read(lambda c: store.newest_model(c, size_px))
        return None if found is None else found.model_version

    assert [await newest(size) for size in (28, 299, 8)] == ["004", "003", None]
