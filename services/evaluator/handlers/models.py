"""Handler of ``evaluator-models``: passes each message to whom it concerns."""

from __future__ import annotations

from typing import Any

from contracts.commands import RequestComparison, RequestEvaluation
from contracts.events import ModelExported, ModelTrained
from services.evaluator.handlers.comparing import Comparer
from services.evaluator.handlers.evaluating import Evaluator
from services.evaluator.handlers.flags import FlagNotes
from services.evaluator.handlers.leased import Leases
from services.evaluator.handlers.library import LibraryNotes
from services.evaluator.handlers.production import Production
from services.evaluator.handlers.scoring import Children
from services.evaluator.settings import EvaluatorSettings
from services.runtime.database import Database
from services.runtime.delivery import Delivery


class ModelsHeard:
    """One message at a time: two networks at once only slow each other."""

    def __init__(self, database: Database, settings: EvaluatorSettings, log: Any) -> None:
        notes, children = LibraryNotes(database), Children(database, settings, log)
        leases = Leases(database, settings.lease_s, log)
        self._production = Production(database)
        flags = FlagNotes(database)
        self._evaluator = Evaluator(database, notes, children, leases, self._production, flags, log)
        self._comparer = Comparer(database, notes, children, leases, log)

    async def handle(self, delivery: Delivery[Any]) -> None:
        """Raises what the handler of the message raises."""
        match delivery.message:
            case ModelTrained():
                await self._evaluator.trained(delivery)
            case ModelExported():
                await self._production.exported(delivery)
            case RequestEvaluation():
                await self._evaluator.requested(delivery)
            case RequestComparison():
                await self._comparer.requested(delivery)
