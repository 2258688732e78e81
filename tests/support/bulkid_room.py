"""Bulkid's handlers on the test's servers, without a broker."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from contracts.commands import RequestIdentification, RequestVectors
from contracts.events import ModelExported, ModelTrained, SnapshotPacked
from contracts.message import Message
from services.bulkid import store
from services.bulkid.handlers import BulkIdentifier, VectorMaker
from services.bulkid.settings import BulkidSettings
from services.runtime.database import Database
from services.runtime.delivery import Delivery
from services.runtime.logs import get_log


class Room:
    """One replica; what it tells of other kinds than ``kinds`` is an error if they are to be ``alone``."""

    def __init__(
        self, settings: BulkidSettings, kinds: Sequence[type[Message]], *, alone: bool = False
    ) -> None:
        self.settings = settings
        self.database = Database(
            settings.database_url.get_secret_value(), store.metadata, source="bulkid", owner="test"
        )
        self._kinds, self._alone = {kind.subject(): kind for kind in kinds}, alone
        one_child, log = asyncio.Lock(), get_log("bulkid")
        identifier = BulkIdentifier(self.database, settings, log, one_child)
        self._handlers: dict[type[Message], Any] = {
            SnapshotPacked: identifier.snapshot_packed,
            ModelExported: identifier.model_exported,
            ModelTrained: identifier.model_trained,
            RequestIdentification: identifier.requested,
            RequestVectors: VectorMaker(self.database, settings, log, one_child).requested,
        }

    def beside(self) -> Room:
        """Another replica on the same servers."""
        work_dir = self.settings.work_dir.with_name("other")
        settings = self.settings.model_copy(update={"work_dir": work_dir})
        return Room(settings, tuple(self._kinds.values()), alone=self._alone)

    async def hear(self, message: Any) -> None:
        """Handle it once."""
        delivery: Delivery[Any] = Delivery(message, "ANY", 1, 1, datetime.now(UTC), message.message_id())
        await self._handlers[type(message)](delivery)

    async def told(self) -> list[Any]:
        """Messages that wait to be published, in order."""
        table = store.metadata.tables["outbox"]
        query = sa.select(table.c.subject, table.c.body).order_by(table.c.outbox_id)
        rows = await self.database.read(lambda c: c.execute(query).all())
        return [
            self._kinds[row.subject].model_validate_json(row.body)
            for row in rows
            if self._alone or row.subject in self._kinds
        ]
