"""Has a model scored on every image of its data set, tells the figures and the gate."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contracts.commands import RequestEvaluation
from contracts.events import ModelRescored, ModelScored, ModelTrained
from services.evaluator import store
from services.evaluator.handlers.flags import FlagNotes
from services.evaluator.handlers.leased import Leases
from services.evaluator.handlers.library import LibraryNotes
from services.evaluator.handlers.production import Production
from services.evaluator.handlers.scoring import Children, Progressed
from services.evaluator.review.queues import record_queue
from services.evaluator.scoring.specs import Under
from services.runtime.database import Database, Unit
from services.runtime.delivery import Delivery

JOB = "services.evaluator.job"


class Evaluator:
    """Scores new models, and older ones on request."""

    def __init__(
        self,
        database: Database,
        notes: LibraryNotes,
        children: Children,
        leases: Leases,
        production: Production,
        flags: FlagNotes,
        log: Any,
    ) -> None:
        self._database = database
        self._notes = notes
        self._children = children
        self._leases = leases
        self._production = production
        self._flags = flags
        self._log = log

    async def trained(self, delivery: Delivery[ModelTrained]) -> None:
        """A new model is recorded, then scored."""
        trained = delivery.message
        await self._database.run(lambda unit: store.record_model(unit, trained))
        await self._evaluate(trained, trained.run_id, None, delivery.progressed)

    async def requested(self, delivery: Delivery[RequestEvaluation]) -> None:
        """A request names an older model, and perhaps other classes or another data set."""
        request = delivery.message
        model = await self._notes.model(request.model_version)
        under = await self._notes.under_of(model, request)
        await self._evaluate(model, request.request_id, under, delivery.progressed)

    async def _evaluate(
        self, model: ModelTrained, request_id: str, under: Under | None, progressed: Progressed
    ) -> None:
        work = f"scoring {model.model_version}/{request_id}"
        await self._leases.run(work, self._work(model, request_id, under, progressed))

    async def _work(
        self, model: ModelTrained, request_id: str, under: Under | None, progressed: Progressed
    ) -> None:
        version = model.model_version
        scoring = await self._children.scoring(model, request_id, under)
        if await self._database.read(lambda c: store.scored_at(c, version, request_id)) is not None:
            self._log.info("evaluation.repeated", model_version=version, request_id=request_id)
            await self._children.tidy([scoring])
            return
        flags_file = await self._flags.write(Path(scoring.folder))
        asked = await self._production.evaluating(scoring, flags_file)
        result = await self._children.run(JOB, asked, [scoring], progressed)
        known = {"request_id": request_id, "model_version": version, "scored_at": datetime.now(UTC)}
        scored: ModelScored | ModelRescored
        if under is None:
            scored = ModelScored.model_validate({**result, **known, "throw_away": model.throw_away})
        else:
            scored = ModelRescored.model_validate({**result, **known})
        await self._database.run(lambda unit: _record(unit, scored, result["matrix"]))
        await self._children.tidy([scoring])
        self._log.info(
            "model.scored", model_version=version, request_id=request_id, verdict=scored.gate.verdict.value
        )


def _record(unit: Unit, scored: ModelScored | ModelRescored, matrix: str) -> None:
    """The scoring and its queue, or neither; only a model's own scoring has a queue."""
    if store.record_scoring(unit, scored, matrix) and isinstance(scored, ModelScored):
        record_queue(unit, scored)
