"""Bulkid's handlers in a process that a test kills.

Usage: python -m tests.support.mortal_vectors PACKED.json EXPORTED.json REQUEST.json (settings by environment)
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

from contracts.commands import RequestVectors
from contracts.events import ModelExported, SnapshotPacked
from services.bulkid import store
from services.bulkid.handlers import VectorMaker
from services.bulkid.settings import BulkidSettings
from services.runtime.database import Database
from services.runtime.delivery import Delivery
from services.runtime.logs import configure_logs, get_log


async def main(packed: str, exported: str, request: str) -> None:
    """Hear them; the request's vectors take some seconds."""
    configure_logs("WARNING")
    settings = BulkidSettings()
    url = settings.database_url.get_secret_value()
    database = Database(url, store.metadata, source="bulkid", owner="mortal")
    await database.run(lambda unit: store.record_snapshot(unit, SnapshotPacked.model_validate_json(packed)))
    await database.run(lambda unit: store.record_model(unit, ModelExported.model_validate_json(exported)))
    message = RequestVectors.model_validate_json(request)
    maker = VectorMaker(database, settings, get_log("bulkid"), asyncio.Lock())
    await maker.requested(Delivery(message, "BULK", 1, 1, datetime.now(UTC), message.message_id()))


if __name__ == "__main__":
    asyncio.run(main(*(Path(name).read_text() for name in sys.argv[1:])))
