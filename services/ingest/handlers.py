"""What ingest does with each message it hears."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from contracts.commands import RequestReconcile, RequestSnapshot
from contracts.events import BulkIdentified, ImageDeduplicated, ImageUploaded
from contracts.notifications import BucketNotified
from services.ingest.actions.perform import perform
from services.ingest.domain.faults import ActionRefused
from services.ingest.intake import Intake
from services.ingest.packing.snapshots import Snapshots
from services.ingest.reception.announced import refusal
from services.ingest.reception.drops import Drops, created_keys
from services.ingest.store import images, suggestions
from services.runtime.database import Database
from services.runtime.delivery import Delivery, Unprocessable


class Handlers:
    """Bound to the service's stores; every method may be called twice with the same message."""

    def __init__(self, database: Database, intake: Intake, snapshots: Snapshots) -> None:
        self._database = database
        self._intake = intake
        self._snapshots = snapshots

    async def uploads(self, deliveries: Sequence[Delivery[ImageUploaded]]) -> None:
        """Each upload becomes accepted, repeated or rejected."""
        announced = [delivery.message for delivery in deliveries]
        refused = await self._database.read(lambda connection: refusal(connection, announced))
        if refused is not None:
            raise Unprocessable(refused)
        await self._intake.take(announced)

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

    async def suggestions(self, deliveries: Sequence[Delivery[BulkIdentified]]) -> None:
        """Note what the newest model says of each image, to be kept beside what a person will choose."""
        identified = [delivery.message for delivery in deliveries]
        await self._database.run(lambda unit: suggestions.note_identified(unit.connection, identified))

    async def snapshot(self, delivery: Delivery[RequestSnapshot]) -> None:
        """Pack the library as it is now; the same state is packed once and answered each time."""
        await self._snapshots.answer(delivery.message)


class DropHandlers:
    """What ingest does when it hears of bucket drop."""

    def __init__(self, drops: Drops) -> None:
        self._drops = drops

    async def notified(self, deliveries: Sequence[Delivery[BucketNotified]]) -> None:
        """Take in each object that was put there."""
        await self._drops.take(created_keys(delivery.message for delivery in deliveries))

    async def reconcile(self, _delivery: Delivery[RequestReconcile]) -> None:
        """Take in what was never told."""
        await self._drops.reconcile()
