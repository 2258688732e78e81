"""Notes the quality flags of images, and hands them to a scoring."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from contracts.events import ImageFlagged
from services.evaluator import store
from services.runtime.database import Database
from services.runtime.delivery import Delivery

FLAGS_FILE = "flags.json"


class FlagNotes:
    """Handler of ``evaluator-flags``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def heard(self, deliveries: Sequence[Delivery[ImageFlagged]]) -> None:
        """Remember them; whatever comes twice changes nothing."""
        said = [delivery.message for delivery in deliveries]
        await self._database.run(lambda unit: store.record_flags(unit, said))

    async def write(self, folder: Path) -> str:
        """What is flagged now, for the child: a file, as a library may have 100,000s; returns its path."""
        flagged = await self._database.read(store.flags_of_images)
        return await asyncio.to_thread(_write, folder, json.dumps(flagged).encode())


def _write(folder: Path, data: bytes) -> str:
    """Appears whole: a child of a killed parent may be reading the one before."""
    folder.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{FLAGS_FILE}.")
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    return str(Path(temporary).replace(folder / FLAGS_FILE))
