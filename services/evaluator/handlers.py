"""Hears of a model, has a child score it, tells the figures and the gate."""

from __future__ import annotations

import hashlib
import shutil
from datetime import UTC, datetime
from typing import Any

from contracts.commands import RequestEvaluation
from contracts.events import ModelScored, ModelTrained
from services.evaluator import store
from services.evaluator.settings import EvaluatorSettings
from services.runtime.child import ChildFailed, run_child
from services.runtime.database import Database
from services.runtime.delivery import Delivery, Unprocessable

JOB = "services.evaluator.job"
VERSIONS_NAMED = 5


class Evaluator:
    """Handlers of durable ``evaluator-models``."""

    def __init__(self, database: Database, settings: EvaluatorSettings, log: Any) -> None:
        self._database = database
        self._settings = settings
        self._log = log

    async def handle(self, delivery: Delivery[ModelTrained | RequestEvaluation]) -> None:
        """A new model is recorded, then scored; a request names an older one."""
        match delivery.message:
            case ModelTrained() as trained:
                await self._database.run(lambda unit: store.record_model(unit, trained))
                await self._evaluate(trained, request_id=trained.run_id)
            case RequestEvaluation() as request:
                await self._evaluate(await self._model(request.model_version), request.request_id)

    async def _model(self, version: str) -> ModelTrained:
        trained = await self._database.read(lambda connection: store.find_model(connection, version))
        if trained is None:
            known = await self._database.read(lambda c: store.known_versions(c, VERSIONS_NAMED))
            names = ", ".join(known) or "none yet"
            raise Unprocessable(f"model {version} was never trained here; the newest models are: {names}")
        return trained

    async def _evaluate(self, trained: ModelTrained, request_id: str) -> None:
        version = trained.model_version
        done = await self._database.read(lambda c: store.scored_at(c, version, request_id))
        if done is not None:
            self._log.info("evaluation.repeated", model_version=version, request_id=request_id)
            return
        result = await self._score(trained, request_id)
        scored = ModelScored.model_validate({
            **result,
            "request_id": request_id,
            "model_version": version,
            "throw_away": trained.throw_away,
            "scored_at": datetime.now(UTC),
        })  # fmt: skip
        await self._database.run(lambda unit: store.record_scoring(unit, scored))
        self._log.info(
            "model.scored", model_version=version, request_id=request_id, verdict=scored.gate.verdict.value
        )

    async def _score(self, trained: ModelTrained, request_id: str) -> dict[str, Any]:
        # Named by the request: what a killed run left behind is removed by its redelivery. By its
        # digest, because a run's id is free text until here.
        name = hashlib.sha256(f"{trained.model_version}/{request_id}".encode()).hexdigest()[:20]
        scratch = self._settings.work_dir / f"evaluate-{name}"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        spec = {"model": trained.model_dump(mode="json"), "request_id": request_id, "scratch": str(scratch)}
        try:
            return await run_child(JOB, spec, self._tell, env=self._settings.scoring_env())
        except ChildFailed as error:
            sentence = f"model {trained.model_version}: {error.message}. {error.remedy}"
            raise Unprocessable(sentence.strip()) from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    async def _tell(self, progress: dict[str, Any]) -> None:
        self._log.info("evaluation.progressed", **progress)
