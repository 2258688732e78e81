"""Hears of snapshots, exports and requests; has a child identify; tells the results in pages."""

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
from contracts.events import BulkIdentified, ModelExported, SnapshotPacked
from services.bulkid import store
from services.bulkid.domain.runs import run_id_for
from services.bulkid.settings import BulkidSettings
from services.bulkid.store import Run
from services.runtime.child import ChildFailed, run_child
from services.runtime.database import Database
from services.runtime.delivery import Delivery, Unprocessable

JOB = "services.bulkid.job"
PAGES_FILE = "pages.jsonl"
PAGES_TOGETHER = 20
"""Pages of one transaction: 3 MB of messages, so that a large run neither locks the database
for long nor holds everything in memory."""


class NotYetKnown(Exception):
    """What the message refers to has not been heard of yet; another stream may just be behind."""


class BulkIdentifier:
    """Handlers of bulkid's three durables."""

    def __init__(self, database: Database, settings: BulkidSettings, log: Any) -> None:
        self._database = database
        self._settings = settings
        self._log = log
        # An export and a request may come together; two networks at once only slow each other.
        self._one_child = asyncio.Lock()

    async def snapshot_packed(self, delivery: Delivery[SnapshotPacked]) -> None:
        """Durable ``bulkid-snapshots``: remember it."""
        packed = delivery.message
        await self._database.run(lambda unit: store.record_snapshot(unit, packed))

    async def model_exported(self, delivery: Delivery[ModelExported]) -> None:
        """Durable ``bulkid-models``: identify the unlabelled images of the newest snapshot."""
        exported = delivery.message
        await self._database.run(lambda unit: store.record_model(unit, exported))
        # The newest snapshot is at least the model's own: until that is heard, others may be missing.
        await self._snapshot(exported.snapshot_id)
        await self._identify(exported, exported.request_id, None)

    async def requested(self, delivery: Delivery[RequestIdentification]) -> None:
        """Durable ``bulkid-requests``: the same with a named model, and snapshot if one is named."""
        request = delivery.message
        version = request.model_version
        exported = await self._database.read(lambda c: store.find_model(c, version))
        if exported is None:
            raise NotYetKnown(f"model {version} is not exported; export it: `menagerie export {version}`")
        await self._identify(exported, request.request_id, request.snapshot_id)

    async def _identify(self, exported: ModelExported, request_id: str, snapshot_id: str | None) -> None:
        run = await self._open(exported, request_id, snapshot_id)
        if run.completed_at is not None:
            self._log.info("identification.repeated", run_id=run.run_id)
            return
        snapshot = await self._snapshot(run.snapshot_id)
        if snapshot.image_size_px != exported.image_size_px:
            raise Unprocessable(
                f"model {exported.model_version} takes images of {exported.image_size_px} px, snapshot "
                f"{snapshot.snapshot_id} has {snapshot.image_size_px} px; pack a snapshot of the model's size"
            )
        async with self._one_child:
            await self._work(run, exported, snapshot)

    async def _open(self, exported: ModelExported, request_id: str, snapshot_id: str | None) -> Run:
        run_id = run_id_for(exported.model_version, request_id)
        opened = await self._database.read(lambda c: store.find_run(c, run_id))
        if opened is not None:
            return opened  # a newer snapshot since then must not change what a redelivery tells
        snapshot = await self._snapshot(snapshot_id)
        threshold = self._settings.confidence_threshold_percent
        run = Run(run_id, exported.model_version, snapshot.snapshot_id, threshold, None)
        return await self._database.run(lambda unit: store.open_run(unit, run))

    async def _snapshot(self, snapshot_id: str | None) -> SnapshotPacked:
        """The snapshot of that id, the newest for None."""

        def find(connection: Any) -> SnapshotPacked | None:
            if snapshot_id is None:
                return store.newest_snapshot(connection)
            return store.find_snapshot(connection, snapshot_id)

        snapshot = await self._database.read(find)
        if snapshot is None:
            missing = "no snapshot" if snapshot_id is None else f"no snapshot {snapshot_id}"
            raise NotYetKnown(f"{missing} was heard of yet; pack one: `menagerie snapshot`")
        return snapshot

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
