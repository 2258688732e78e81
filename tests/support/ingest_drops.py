"""Ingest with a drop bucket in memory."""

from __future__ import annotations

import json
from pathlib import Path

from contracts.events import ImageUploaded
from contracts.notifications import BucketNotified
from services.ingest.handlers import DropHandlers
from services.ingest.reception.drops import Drops
from services.runtime.envelope import decode
from services.runtime.logs import get_log
from tests.support.ingest_house import House, deliveries
from tests.support.ingest_ways import BucketStore

SUBJECT = BucketNotified.subject()
LIMIT_BYTES = 600_000


class DropHouse(House):
    """Ingest with its drop bucket."""

    store: BucketStore

    def __init__(self, folder: Path, store: BucketStore | None = None) -> None:
        super().__init__(f"sqlite:///{folder}/ingest.sqlite", folder / "work", store or BucketStore())
        self.settings = self.settings.model_copy(update={"max_file_bytes": LIMIT_BYTES})
        self.drops = Drops(self.reception, self.settings, get_log("test"))
        self.dropped = DropHandlers(self.drops)

    async def hear(self, *messages: BucketNotified) -> None:
        """As the runtime delivers them."""
        await self.dropped.notified(deliveries(messages))

    async def announced(self) -> list[ImageUploaded]:
        """What was told of uploads."""
        return [message for message in await self.said() if isinstance(message, ImageUploaded)]

    def left_on_disk(self) -> list[Path]:
        """Spooled files."""
        return [path for path in self.settings.work_dir.rglob("*") if path.is_file()]


def heard(body: object) -> BucketNotified:
    """A notification as it arrives."""
    message = decode(SUBJECT, json.dumps(body).encode())
    assert isinstance(message, BucketNotified)
    return message
