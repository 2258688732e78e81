"""What ingest does with each message it hears."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from contracts.commands import RequestSnapshot
from contracts.events import ImageDeduplicated, ImageUploaded, SnapshotPacked
from services.ingest.actions.perform import perform
from services.ingest.domain import state
from services.ingest.domain.faults import ActionRefused
from services.ingest.domain.shards import plan
from services.ingest.domain.state import LibraryImage
from services.ingest.intake import Intake
from services.ingest.packing import Packer
from services.ingest.settings import IngestSettings
from services.ingest.store import images, snapshots
from services.runtime.database import Database, Unit
from services.runtime.delivery import Delivery, Unprocessable
from services.runtime.objectstore import ObjectStore


class Handlers:
    """Bound to the service's stores; every method may be called twice with the same message."""

    def __init__(
        self, database: Database, store: ObjectStore, intake: Intake, packer: Packer, settings: IngestSettings
    ) -> None:
        self._database = database
        self._store = store
        self._intake = intake
        self._packer = packer
        self._settings = settings

    async def uploads(self, deliveries: Sequence[Delivery[ImageUploaded]]) -> None:
        """Each upload becomes accepted, repeated or rejected."""
        await self._intake.take(delivery.message for delivery in deliveries)

    async def verdicts(self, deliveries: Sequence[Delivery[ImageDeduplicated]]) -> None:
        """Note dedup's newest verdict of each image."""
        verdicts = [delivery.message for delivery in deliveries]
        await self._database.run(lambda unit: images.note_verdicts(unit.connection, verdicts))

    async def requests(self, deliveries: Sequence[Delivery[Any]]) -> None:
        """Do what people and upstream systems ask of the library."""
        at = datetime.now(UTC)
        try:
            await self._database.run(
                lambda unit: [perform(unit, delivery.message, at) for delivery in deliveries]
            )
        except ActionRefused as refused:
            raise Unprocessable(str(refused)) from refused

    async def snapshot(self, delivery: Delivery[RequestSnapshot]) -> None:
        """Pack the library as it is now; the same state is packed once and answered each time."""
        request = delivery.message
        if await self._database.read(lambda connection: snapshots.answered(connection, request.request_id)):
            return
        state_now = await self._database.read(snapshots.library_state)
        size_px, shard_images = self._settings.image_size_px, self._settings.shard_images
        snapshot_id = await asyncio.to_thread(state.snapshot_id, state_now, size_px, shard_images)
        packed = await self._database.read(
            lambda connection: snapshots.packed_snapshot(connection, snapshot_id, request.request_id)
        )
        if packed is None:
            packed = await asyncio.to_thread(self._pack, state_now, snapshot_id, request.request_id)
        await self._database.run(lambda unit: _answer(unit, packed))

    def _pack(self, images: Sequence[LibraryImage], snapshot_id: str, request_id: str) -> SnapshotPacked:
        shards = plan(images, snapshot_id, self._settings.shard_images)
        manifest = self._packer.pack(shards, snapshot_id)
        self._store.sync()  # before the commit: a snapshot that is noted is never packed again
        counts = state.count(images)
        return SnapshotPacked(
            request_id=request_id,
            snapshot_id=snapshot_id,
            manifest=manifest,
            images=counts.images,
            labelled=counts.labelled,
            unlabelled=counts.unlabelled,
            classes=counts.classes,
            shards=len(shards),
            size_bytes=sum(shard.size_bytes for shard in shards) + manifest.size,
            image_size_px=self._settings.image_size_px,
            packed_at=datetime.now(UTC),
        )


def _answer(unit: Unit, packed: SnapshotPacked) -> None:
    if snapshots.answered(unit.connection, packed.request_id):
        return
    snapshots.keep_snapshot(unit.connection, packed)
    snapshots.keep_answer(unit.connection, packed.request_id, packed.snapshot_id, datetime.now(UTC))
    unit.emit(packed)
