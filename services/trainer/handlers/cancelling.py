"""Hears that a person wants a run, or a search, to stop."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from contracts.commands import CancelTraining
from services.runtime.database import Database
from services.runtime.delivery import Delivery
from services.trainer import store
from services.trainer.store.searches import cancel_search


class Canceller:
    """Handler of ``trainer-cancels``, which no training run keeps waiting."""

    def __init__(self, database: Database, log: Any) -> None:
        self._database = database
        self._log = log

    async def handle(self, delivery: Delivery[CancelTraining]) -> None:
        """Whoever works on the run sees the order within a second; a run at rest is ended here."""
        asked, now = delivery.message, datetime.now(UTC)
        if await self._database.run(lambda unit: cancel_search(unit, asked, now)):
            self._log.info("search.cancel_asked", search_id=asked.run_id)
            return
        before = await self._database.run(lambda unit: store.cancel_run(unit, asked, now))
        self._log.info("run.cancel_asked", run_id=asked.run_id, state=before.value if before else "not begun")
