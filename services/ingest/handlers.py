"""What ingest does with each message it hears."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from contracts.commands import AssignLabel, RequestSnapshot
from contracts.events import ImageDeduplicated, ImageUploaded, SnapshotPacked
from services.ingest import snapshot_store as snapshots
from services.ingest import store as library
from services.ingest.domain import facts, state
from services.ingest.domain.facts import LabelFact
from services.ingest.domain.faults import ImageNotYetKnown
from services.ingest.domain.labels import change
from services.ingest.domain.shards import plan
from services.ingest.domain.state import LibraryImage
from services.ingest.domain.text import storable
from services.ingest.intake import Intake
from services.ingest.packing import Packer
from services.ingest.settings import IngestSettings
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
        await self._database.run(lambda unit: library.note_verdicts(unit.connection, verdicts))

    async def labels(self, deliveries: Sequence[Delivery[AssignLabel]]) -> None:
        """Give images a label, or another one."""
        requests = [storable(delivery.message) for delivery in deliveries]
        at = datetime.now(UTC)
        await self._database.run(lambda unit: _assign(unit, requests, at))

    async def snapshot(self, delivery: Delivery[RequestSnapshot]) -> None:
        """Pack the library as it is now; the same state is packed once and answered each time."""
        request = delivery.message
        if await self._database.read(lambda connection: snapshots.answered(connection, request.request_id)):
            return
        images = await self._database.read(snapshots.library_state)
        size_px, shard_images = self._settings.image_size_px, self._settings.shard_images
        snapshot_id = await asyncio.to_thread(state.snapshot_id, images, size_px, shard_images)
        packed = await self._database.read(
            lambda connection: snapshots.packed_snapshot(connection, snapshot_id, request.request_id)
        )
        if packed is None:
            packed = await asyncio.to_thread(self._pack, images, snapshot_id, request.request_id)
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


def _assign(unit: Unit, requests: Sequence[AssignLabel], at: datetime) -> None:
    connection = unit.connection
    current = library.lock_labels(connection, {request.image_id for request in requests})
    for request in requests:
        image_id = request.image_id
        if image_id not in current:
            if library.unsettled_images(connection, [image_id]):
                raise ImageNotYetKnown(f"image {image_id} is uploaded and not yet decoded; retry later")
            raise Unprocessable(f"no image {image_id} in the library; `menagerie images` lists those it has")
        if not library.claim_label_request(connection, request.request_id, image_id, at):
            continue
        made = change(current[image_id], request.label, request.kind)
        if made is not None:
            fact = LabelFact(image_id, made, request.by, at, request.reason)
            library.write_labels(connection, [fact])
            current[image_id] = made.label
            unit.emit(facts.labelled(fact))


def _answer(unit: Unit, packed: SnapshotPacked) -> None:
    if snapshots.answered(unit.connection, packed.request_id):
        return
    snapshots.keep_snapshot(unit.connection, packed)
    snapshots.keep_answer(unit.connection, packed.request_id, packed.snapshot_id, datetime.now(UTC))
    unit.emit(packed)
