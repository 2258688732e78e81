"""What is told of a run: each in one transaction with the run's new state, by its owner alone."""

from __future__ import annotations

import signal
from datetime import UTC, datetime
from typing import Any

from contracts.commands import RequestTraining
from contracts.events import ModelTrained, SnapshotPacked, TrainFailed, TrainProgressed, TrialCompleted
from contracts.values import ModelVersion
from services.runtime.child import ChildDied
from services.runtime.database import Database
from services.trainer import store
from services.trainer.domain.specs import EpochReport, Stopped, TrainResult
from services.trainer.runs.memory import memory_remedy, names_memory

UNREGISTERED = "000"
"""Version of a model until the store gives it one."""
REASON_CHARACTERS = 2000

CRASHES = {
    -signal.SIGKILL: "was killed",
    -signal.SIGSEGV: "crashed in native code",
    -signal.SIGABRT: "gave up in native code",
    -signal.SIGBUS: "crashed in native code",
}
"""Exit codes of children that want more memory than they get, in words; the first is the kernel's choice."""


class RunTeller:
    """Tells of runs that this trainer owns; what an owner that lost its run says is dropped."""

    def __init__(self, database: Database, log: Any) -> None:
        self._database = database
        self._log = log

    async def progressed(self, run_id: str, report: EpochReport, owner: str) -> None:
        """One more epoch is over."""
        told = TrainProgressed(run_id=run_id, **report.model_dump(), progressed_at=datetime.now(UTC))
        await self._database.run(lambda unit: store.record_progress(unit, told, owner))

    async def trained(
        self,
        request: RequestTraining,
        snapshot: SnapshotPacked,
        base: ModelVersion | None,
        result: TrainResult,
        owner: str,
    ) -> None:
        """The run ended with a model, or as a trial."""
        now = datetime.now(UTC)
        if request.trial:
            await self._trial(request, result, now, owner, pruned=False)
            return
        trained = ModelTrained(
            run_id=request.run_id, model_version=UNREGISTERED, base_version=base,
            snapshot_id=request.snapshot_id, image_size_px=snapshot.image_size_px,
            throw_away=request.throw_away, trained_at=now, **dict(result),
        )  # fmt: skip
        version = await self._database.run(lambda unit: store.register(unit, trained, owner))
        self._log.info("model.trained", run_id=request.run_id, model_version=version)

    async def stopped(self, request: RequestTraining, result: Stopped, owner: str) -> None:
        """The run did as it was told: a cancelled one leaves nothing, a pruned trial its curve."""
        now = datetime.now(UTC)
        if await self._database.run(lambda unit: store.cancel_instead(unit, request.run_id, now, owner)):
            self._log.info("run.cancelled", run_id=request.run_id, epochs=result.epochs)
        else:
            await self._trial(request, result, now, owner, pruned=True)

    async def failed(self, run_id: str, error: str, remedy: str, owner: str | None = None) -> None:
        """The run ended without a model."""
        now = datetime.now(UTC)
        failed = TrainFailed(
            run_id=run_id, error=error[:REASON_CHARACTERS], remedy=remedy[:REASON_CHARACTERS], failed_at=now
        )
        ended = store.RunState.FAILED
        await self._database.run(lambda unit: store.end_with(unit, failed, ended, now, owner))
        self._log.warning("run.failed", run_id=run_id, error=error, remedy=remedy)

    async def died(self, request: RequestTraining, error: ChildDied, deaths: int, owner: str) -> None:
        """A child's death that is not tried again."""
        remedy = f"most likely memory: {memory_remedy(request.options)}"
        if names_memory(str(error)):
            text = f"memory ran out: {error}"
        elif error.code in CRASHES:
            ended = f"{CRASHES[error.code]} {deaths} times without coming further"
            text = f"most likely memory ran out, the training process {ended}: {error}"
        else:
            text = f"the training process died {deaths} times without coming further: {error}"
            remedy = f"a fault of the trainer, not of the request: see models/runs/{request.run_id}/log.txt"
        await self.failed(request.run_id, text, remedy, owner)

    async def unknown_base(self, run_id: str, base: ModelVersion) -> None:
        """The request names a model that was never registered."""
        names = await self._database.read(store.named_versions)
        remedy = f"set base to newest, scratch, or one of: {names}"
        await self.failed(run_id, f"there is no model {base} to start from", remedy)

    async def _trial(
        self,
        request: RequestTraining,
        result: TrainResult | Stopped,
        now: datetime,
        owner: str,
        *,
        pruned: bool,
    ) -> None:
        trial = TrialCompleted(
            run_id=request.run_id, snapshot_id=request.snapshot_id, network=result.network,
            epochs=result.epochs, best_epoch=result.best_epoch,
            best_val_accuracy=result.best_val_accuracy or 0.0, history=result.history, completed_at=now,
            search_id=request.search_id, trial_number=request.trial_number, pruned=pruned,
        )  # fmt: skip
        done = store.RunState.DONE
        await self._database.run(lambda unit: store.end_with(unit, trial, done, now, owner))
