"""Has a child identify the unlabelled images of a snapshot; tells the results in pages."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from contracts.commands import RequestIdentification
from contracts.events import BulkIdentified, ModelExported, ModelTrained, SnapshotPacked
from services.bulkid import store
from services.bulkid.domain.models import as_if_exported
from services.bulkid.domain.runs import run_id_for
from services.bulkid.handlers.heard import check_size, known_model, known_snapshot
from services.bulkid.handlers.requests import vectors_of_model, vectors_of_snapshot
from services.bulkid.settings import BulkidSettings
from services.bulkid.store import Run
from services.runtime.child import ChildFailed, run_child
from services.runtime.database import Database, Unit
from services.runtime.delivery import Delivery, Unprocessable

JOB = "services.bulkid.job"
PAGES_FILE = "pages.jsonl"
PAGES_TOGETHER = 20
"""Pages of one transaction: 3 MB of messages, so that a large run neither locks the database
for long nor holds everything in memory."""


class BulkIdentifier:
    """Hears of snapshots, models and requests."""

    def __init__(
        self, database: Database, settings: BulkidSettings, log: Any, one_child: asyncio.Lock
    ) -> None:
        """``one_child`` is shared: two networks at once only slow each other."""
        self._database = database
        self._settings = settings
        self._log = log
        self._one_child = one_child

    async def snapshot_packed(self, delivery: Delivery[SnapshotPacked]) -> None:
        """Durable ``bulkid-snapshots``: remember it; with similarity vectors on, request those it lacks."""
        packed = delivery.message

        def record(unit: Unit) -> None:
            store.record_snapshot(unit, packed)
            if self._settings.similarity_vectors:
                unit.emit(vectors_of_snapshot(packed))

        await self._database.run(record)

    async def model_exported(self, delivery: Delivery[ModelExported]) -> None:
        """Durable ``bulkid-models``: identify the unlabelled images of the newest snapshot.

        With similarity vectors on, the model's are requested first.
        """
        exported = delivery.message

        def record(unit: Unit) -> None:
            store.record_model(unit, exported)
            if self._settings.similarity_vectors:
                unit.emit(vectors_of_model(exported))

        await self._database.run(record)
        # The newest snapshot is at least the model's own: until that is heard, others may be missing.
        await known_snapshot(self._database, exported.snapshot_id)
        await self._identify(exported, exported.request_id, None)

    async def model_trained(self, delivery: Delivery[ModelTrained]) -> None:
        """Durable ``bulkid-models``: a throw-away run is over with its model, which finds more images."""
        if not delivery.message.throw_away:
            return
        model = as_if_exported(delivery.message)
        await self._database.run(lambda unit: store.record_model(unit, model))
        await known_snapshot(self._database, model.snapshot_id)
        await self._identify(model, model.request_id, None)

    async def requested(self, delivery: Delivery[RequestIdentification]) -> None:
        """Durable ``bulkid-requests``: the same with a named model, and snapshot if one is named."""
        request = delivery.message
        exported = await known_model(self._database, request.model_version)
        await self._identify(exported, request.request_id, request.snapshot_id)

    async def _identify(self, exported: ModelExported, request_id: str, snapshot_id: str | None) -> None:
        run = await self._open(exported, request_id, snapshot_id)
        if run.completed_at is not None:
            self._log.info("identification.repeated", run_id=run.run_id)
            return
        snapshot = await known_snapshot(self._database, run.snapshot_id)
        check_size(exported, snapshot)
        async with self._one_child:
            await self._work(run, exported, snapshot)

    async def _open(self, exported: ModelExported, request_id: str, snapshot_id: str | None) -> Run:
        run_id = run_id_for(exported.model_version, request_id)
        opened = await self._database.read(lambda c: store.find_run(c, run_id))
        if opened is not None:
            return opened  # a newer snapshot since then must not change what a redelivery tells
        snapshot = await known_snapshot(self._database, snapshot_id)
        threshold = self._settings.confidence_threshold_percent
        run = Run(run_id, exported.model_version, snapshot.snapshot_id, threshold, None)
        return await self._database.run(lambda unit: store.open_run(unit, run))

    async def _work(self, run: Run, exported: ModelExported, snapshot: SnapshotPacked) -> None:
        scratch = self._settings.work_dir / f"identify-{run.run_id}"  # a killed run's rest goes here
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        spec = {
            "model": exported.model_dump(mode="json"),
            "manifest": snapshot.manifest.model_dump(mode="json"),
            "pages": str(scratch / PAGES_FILE),
        }
        try:
            await run_child(JOB, spec, self._tell, env=self._settings.identifying_env())
            await self._store_pages(run, scratch / PAGES_FILE)
        except ChildFailed as error:
            raise Unprocessable(f"run {run.run_id}: {error.message}. {error.remedy}".strip()) from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    async def _store_pages(self, run: Run, path: Path) -> None:
        now = datetime.now(UTC)
        pages, threshold = read_pages(path, run, now), run.threshold_percent
        while chunk := await asyncio.to_thread(lambda: list(islice(pages, PAGES_TOGETHER))):
            await self._database.run(partial(store.record_pages, pages=chunk, threshold=threshold))
        completed = await self._database.run(lambda unit: store.complete_run(unit, run, now))
        if completed is not None:
            self._log.info("bulk.completed", run_id=run.run_id, identified=completed.identified)

    async def _tell(self, progress: dict[str, Any]) -> None:
        self._log.info("identification.progressed", **progress)


def read_pages(path: Path, run: Run, now: datetime) -> Iterator[BulkIdentified]:
    """The child's pages, one line each: a list of [image_id, [[label, confidence], ...]]."""
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            results = [
                {"image_id": image_id, "top": [{"label": label, "confidence": value} for label, value in top]}
                for image_id, top in json.loads(line)
            ]
            yield BulkIdentified.model_validate({
                "run_id": run.run_id, "page": number, "model_version": run.model_version,
                "results": results, "identified_at": now,
            })  # fmt: skip
