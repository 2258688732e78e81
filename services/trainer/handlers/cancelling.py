"""Hears that a person wants a run, or a search, to stop."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from contracts.commands import CancelTraining
from services.runtime.database import Database, Unit
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

        def cancel(unit: Unit) -> str:
            """In one transaction: a search that begins meanwhile is cancelled by one of the two."""
            if cancel_search(unit, asked, now):
                return "search"
            before = store.cancel_run(unit, asked, now)
            return before.value if before else "not begun"

        state = await self._database.run(cancel)
        self._log.info("run.cancel_asked", run_id=asked.run_id, state=state)
