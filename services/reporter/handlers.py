"""One handler for all streams: project the batch, write it in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.reporter.domain.changes import Unprojectable
from services.reporter.domain.projection import project_all
from services.reporter.store.writing import write
from services.runtime.database import Database
from services.runtime.delivery import Delivery, Unprocessable


class Projector:
    """Keeps the read model; a batch is applied whole or not at all."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def apply(self, deliveries: Sequence[Delivery[Any]]) -> None:
        """Raises Unprocessable when a message holds what no column can take."""
        try:
            changes = project_all((delivery.message, delivery.seq) for delivery in deliveries)
        except Unprojectable as error:
            raise Unprocessable(str(error)) from error
        await self._database.run(lambda unit: write(unit.connection, changes))
