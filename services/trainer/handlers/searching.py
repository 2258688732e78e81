"""Hears what to search for and how its trials go, asks for the next ones, and has the report made."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from contracts.commands import RequestSearch
from contracts.events import TrainCancelled, TrainFailed, TrainProgressed, TrialCompleted
from services.runtime.child import run_child
from services.runtime.database import Database
from services.runtime.delivery import Delivery
from services.trainer import store
from services.trainer.handlers.children import NotYet
from services.trainer.search.report import Reported, ReportSpec, completed
from services.trainer.settings import TrainerSettings
from services.trainer.store import searches

REPORTING = "services.trainer.search.reporting"


class Searcher:
    """Handler of ``trainer-searches``."""

    def __init__(self, database: Database, settings: TrainerSettings, log: Any) -> None:
        self._database = database
        self._settings = settings
        self._log = log

    async def handle(
        self,
        delivery: Delivery[RequestSearch | TrainProgressed | TrialCompleted | TrainFailed | TrainCancelled],
    ) -> None:
        """Note it; most of what is heard is of runs that belong to no search, and changes nothing."""
        now = datetime.now(UTC)
        match delivery.message:
            case RequestSearch() as request:
                await self._begin(request, now)
            case TrainProgressed() as told:
                await self._progressed(told, now)
            case TrialCompleted() | TrainFailed() | TrainCancelled() as ended:
                search_id = await self._search_of(ended.run_id)
                if search_id is not None:
                    await self._database.run(lambda unit: searches.end_trial(unit, search_id, ended, now))
                    await self._report_if_over(search_id)

    async def _begin(self, request: RequestSearch, now: datetime) -> None:
        if await self._database.read(lambda c: store.find_snapshot(c, request.snapshot_id)) is None:
            raise NotYet(f"snapshot {request.snapshot_id!r} is not known to the trainer (yet)")
        await self._database.run(lambda unit: searches.begin_search(unit, request, now))
        self._log.info("search.started", search_id=request.search_id, method=request.method)
        await self._report_if_over(request.search_id)

    async def _progressed(self, told: TrainProgressed, now: datetime) -> None:
        search_id = await self._search_of(told.run_id)
        if search_id is None:
            return
        if await self._database.run(lambda unit: searches.note_progress(unit, search_id, told, now)):
            self._log.info("trial.pruned", search_id=search_id, run_id=told.run_id, epoch=told.epoch)

    async def _search_of(self, run_id: str) -> str | None:
        return await self._database.read(lambda c: searches.search_of(c, run_id))

    async def _report_if_over(self, search_id: str) -> None:
        """Also after a crash in here: the event that ended the last trial comes again."""
        search = await self._database.read(lambda c: searches.find_search(c, search_id))
        if search is None or search.state is not searches.SearchState.REPORTING:
            return
        spec = ReportSpec(request=search.request, base=search.base, trials=search.trials)
        answer = await run_child(REPORTING, spec.model_dump(mode="json"), env=self._settings.fitting_env())
        reported = Reported.model_validate(answer)
        if reported.report is None or reported.page is None:
            raise NotYet(reported.fault)
        told = completed(spec, reported.report, reported.page, datetime.now(UTC))
        if await self._database.run(lambda unit: searches.end_search(unit, told)):
            self._log.info("search.completed", search_id=search_id, best=told.best_val_accuracy)
