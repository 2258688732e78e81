"""The trainer's handlers on the test's servers, without a broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import sqlalchemy as sa

from contracts.commands import CancelTraining, RequestExport, RequestTraining
from contracts.events import ModelScored, SnapshotPacked, TrainProgressed
from contracts.message import Message, message_types
from services.runtime.database import Database
from services.runtime.delivery import Delivery
from services.runtime.logs import get_log
from services.runtime.objectstore import ObjectStore
from services.trainer import store
from services.trainer.handlers import Canceller, Exporter, Trainer
from services.trainer.settings import TrainerSettings
from tests.support.colour_library import NOW
from tests.support.digit_library import DigitLibrary
from tests.support.probe import until

PATIENCE_S = 600.0


class TrainerRoom:
    """One trainer; ``name`` keeps its library apart from those of other tests on the server."""

    def __init__(self, settings: TrainerSettings, objects: ObjectStore, name: str) -> None:
        url = settings.database_url.get_secret_value()
        self.database = Database(url, store.metadata, source="trainer", owner="test")
        self.settings, self.objects, self.name, self.progressed = settings, objects, name, 0
        log = get_log("trainer")
        self._trainer = Trainer(self.database, settings, log)
        self._canceller = Canceller(self.database, log)
        self._exporter = Exporter(self.database, settings, log)

    async def hear(self, message: Message) -> None:
        """Handle one delivery of it."""

        async def progressed() -> None:
            self.progressed += 1

        delivery: Any = Delivery(message, "ANY", 1, 1, NOW, message.message_id(), progressed)
        match message:
            case RequestTraining():
                await self._trainer.train(delivery)
            case CancelTraining():
                await self._canceller.handle(delivery)
            case RequestExport() | ModelScored():
                await self._exporter.handle(delivery)
            case _:
                await self._trainer.note_snapshot(delivery)

    async def packed(self) -> SnapshotPacked:
        """A snapshot of 44 digits of two classes, heard of."""
        packed = DigitLibrary(self.objects, self.name, "01", 20).packed()
        await self.hear(packed)
        return packed

    async def cancel(self, run_id: str) -> None:
        """As a person does."""
        await self.hear(
            CancelTraining(
                request_id="cancel-1", run_id=run_id, by="ann", reason="wrong photos", requested_at=NOW
            )
        )

    async def told(self) -> list[Message]:
        """All that waits in the outbox, in order."""
        table = store.metadata.tables["outbox"]
        query = sa.select(table.c.subject, table.c.body).order_by(table.c.outbox_id)
        rows = await self.database.read(lambda c: c.execute(query).all())
        return [message_types()[row.subject].model_validate_json(row.body) for row in rows]

    async def last(self) -> Message:
        """What was told last."""
        return (await self.told())[-1]

    def log(self, run_id: str) -> str:
        """The joined log."""
        return b"".join(self.objects.stream("models", f"runs/{run_id}/log.txt")).decode()

    def objects_of(self, run_id: str, under: str) -> list[str]:
        """Keys of what a run keeps in the store."""
        return list(self.objects.list("models", f"runs/{run_id}/{under}"))


@asynccontextmanager
async def under_way(room: TrainerRoom, asked: RequestTraining) -> AsyncIterator[asyncio.Task[None]]:
    """The run once its first epoch is told."""
    run = asyncio.create_task(room.hear(asked))

    async def begun() -> bool:
        return run.done() or any(isinstance(message, TrainProgressed) for message in await room.told())

    try:
        await until(begun, PATIENCE_S)
        yield run
    finally:
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)


async def so(condition: Callable[[], bool]) -> None:
    """Poll a plain condition."""

    async def met() -> bool:
        return condition()

    await until(met, PATIENCE_S)
