"""Hears what to train and what to export, has a child do it, and tells how it went."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contracts.commands import RequestExport, RequestTraining
from contracts.events import (
    ModelExported,
    ModelScored,
    ModelTrained,
    SnapshotPacked,
    TrainFailed,
    TrainProgressed,
    TrialCompleted,
)
from contracts.values import GateVerdict, ModelVersion
from services.runtime.child import ChildDied, ChildFailed, run_child
from services.runtime.database import Database
from services.runtime.delivery import Delivery, Unprocessable
from services.trainer import store
from services.trainer.domain.specs import (
    Base,
    EpochReport,
    ExportResult,
    ExportSpec,
    Outcome,
    TrainResult,
    TrainSpec,
)
from services.trainer.settings import TrainerSettings

FITTING = "services.trainer.job"
EXPORTING = "services.trainer.exporting"
UNREGISTERED = "000"
"""Version of a model until the store gives it one."""
REASON_CHARACTERS = 2000
VERSIONS_NAMED = 5

Report = Callable[[dict[str, Any]], Awaitable[None]]


class NotYet(Exception):
    """What the message refers to has not arrived, or the store failed: tried again later."""


class _Children:
    """Starts a child in a scratch folder named by its work: a killed run's leftovers go first."""

    def __init__(self, settings: TrainerSettings) -> None:
        self._settings = settings

    def scratch(self, name: str) -> Path:
        return self._settings.work_dir / name

    async def run(self, module: str, spec: TrainSpec | ExportSpec, report: Report | None = None) -> Outcome:
        _empty(Path(spec.scratch))
        try:
            answer = await run_child(
                module, spec.model_dump(mode="json"), report, env=self._settings.fitting_env()
            )
        finally:
            shutil.rmtree(spec.scratch, ignore_errors=True)
        outcome = Outcome.model_validate(answer)
        if outcome.fault is not None:
            raise NotYet(outcome.fault)
        return outcome


class Trainer:
    """Handlers of ``trainer-snapshots`` and ``trainer-requests``."""

    def __init__(self, database: Database, settings: TrainerSettings, log: Any) -> None:
        self._database = database
        self._settings = settings
        self._children = _Children(settings)
        self._log = log

    async def note_snapshot(self, delivery: Delivery[SnapshotPacked]) -> None:
        """Requests name snapshots by id; the reference to the manifest is only in this event."""
        await self._database.run(lambda unit: store.record_snapshot(unit, delivery.message))

    async def train(self, delivery: Delivery[RequestTraining]) -> None:
        """Run the request to its end, once; a rerun after a crash gives the same result."""
        request = delivery.message
        snapshot = await self._database.read(lambda c: store.find_snapshot(c, request.snapshot_id))
        if snapshot is None:
            raise NotYet(f"snapshot {request.snapshot_id!r} is not known to the trainer (yet)")
        now = datetime.now(UTC)
        state, base = await self._database.run(lambda unit: store.begin_run(unit, request, now))
        if state is not store.RunState.RUNNING:
            self._log.info("run.repeated", run_id=request.run_id, state=state.value)
            return
        line = await self._database.read(lambda c: store.line_of(c, base))
        if base is not None and not line:
            await self._fail(request.run_id, *await self._unknown_base(base))
            return
        await self._fit(request, snapshot, line)

    async def _fit(
        self, request: RequestTraining, snapshot: SnapshotPacked, line: list[ModelTrained]
    ) -> None:
        spec = TrainSpec(
            run_id=request.run_id,
            snapshot=snapshot.manifest,
            taxonomy=snapshot.taxonomy,
            packed_version=snapshot.taxonomy_version,
            taxonomy_version=request.taxonomy_version,
            image_size_px=snapshot.image_size_px,
            base=_base(line[0]) if line else None,
            ancestors=tuple(model.dataset for model in line),
            rules=request.rules,
            options=request.options,
            scratch=str(self._children.scratch(f"train-{request.run_id}")),
        )

        async def report(progress: dict[str, Any]) -> None:
            await self._progress(request.run_id, EpochReport.model_validate(progress))

        self._log.info("run.started", run_id=request.run_id, base=spec.base.version if spec.base else None)
        try:
            outcome = await self._children.run(FITTING, spec, report)
        except ChildFailed as error:
            await self._fail(request.run_id, error.message, error.remedy)
        except ChildDied as error:
            await self._died(request, error)
        else:
            assert outcome.train is not None
            await self._finish(request, snapshot, spec.base.version if spec.base else None, outcome.train)

    async def _progress(self, run_id: str, report: EpochReport) -> None:
        told = TrainProgressed(run_id=run_id, **report.model_dump(), progressed_at=datetime.now(UTC))
        await self._database.run(lambda unit: unit.emit(told))

    async def _finish(
        self,
        request: RequestTraining,
        snapshot: SnapshotPacked,
        base: ModelVersion | None,
        result: TrainResult,
    ) -> None:
        now = datetime.now(UTC)
        if request.trial:
            trial = _trial_completed(request, result, now)
            await self._database.run(lambda unit: store.end_with(unit, trial, store.RunState.DONE, now))
            return
        trained = ModelTrained(
            run_id=request.run_id, model_version=UNREGISTERED, base_version=base,
            snapshot_id=request.snapshot_id, image_size_px=snapshot.image_size_px,
            throw_away=request.throw_away, trained_at=now, **dict(result),
        )  # fmt: skip
        version = await self._database.run(lambda unit: store.register(unit, trained))
        self._log.info("model.trained", run_id=request.run_id, model_version=version)

    async def _died(self, request: RequestTraining, error: ChildDied) -> None:
        deaths = await self._database.run(lambda unit: store.count_death(unit, request.run_id))
        if deaths < self._settings.deaths_max_per_run:
            raise error
        remedy = (
            f"most likely memory ran out: lower options.batch_size (now {request.options.batch_size}) "
            f"or rules.maximum_per_class (now {request.rules.maximum_per_class}), or add memory"
        )
        await self._fail(request.run_id, f"the training process died {deaths} times: {error}", remedy)

    async def _fail(self, run_id: str, error: str, remedy: str) -> None:
        now = datetime.now(UTC)
        failed = TrainFailed(
            run_id=run_id, error=error[:REASON_CHARACTERS], remedy=remedy[:REASON_CHARACTERS], failed_at=now
        )
        await self._database.run(lambda unit: store.end_with(unit, failed, store.RunState.FAILED, now))
        self._log.warning("run.failed", run_id=run_id, error=error, remedy=remedy)

    async def _unknown_base(self, base: ModelVersion) -> tuple[str, str]:
        known = await self._database.read(lambda c: store.known_versions(c, VERSIONS_NAMED))
        names = ", ".join(known) or "none yet"
        return f"there is no model {base} to start from", f"set base to newest, scratch, or one of: {names}"


class Exporter:
    """Handler of ``trainer-exports``: exports what the gate lets go, or what a person orders."""

    def __init__(self, database: Database, settings: TrainerSettings, log: Any) -> None:
        self._database = database
        self._children = _Children(settings)
        self._log = log

    async def handle(self, delivery: Delivery[ModelScored | RequestExport]) -> None:
        """A score with a go exports a model once; an order is told under its own request."""
        match delivery.message:
            case ModelScored() as scored:
                await self._database.run(lambda unit: store.record_report(unit, scored))
                if scored.gate.verdict is GateVerdict.GO and not scored.throw_away:
                    model = await self._model(scored.model_version)
                    if not await self._exports(model.model_version):
                        await self._export(model, scored.request_id, None, None)
            case RequestExport() as order:
                model = await self._model(order.model_version)
                told = {exported.request_id for exported in await self._exports(model.model_version)}
                if order.request_id not in told:
                    await self._export(model, order.request_id, order.by, order.reason)

    async def _model(self, version: ModelVersion) -> ModelTrained:
        model = await self._database.read(lambda c: store.find_model(c, version))
        if model is None:
            known = await self._database.read(lambda c: store.known_versions(c, VERSIONS_NAMED))
            names = ", ".join(known) or "none yet"
            raise Unprocessable(f"there is no model {version}; the newest are: {names}")
        if model.throw_away:
            raise Unprocessable(f"model {version} is of a throw-away run, which is never exported")
        return model

    async def _exports(self, version: ModelVersion) -> list[ModelExported]:
        return list(await self._database.read(lambda c: store.find_exports(c, version)))

    async def _export(self, model: ModelTrained, request_id: str, by: str | None, reason: str | None) -> None:
        done = await self._exports(model.model_version)
        # An export that stands is served from; it is told again, never written over.
        result = ExportResult.model_validate(dict(done[0])) if done else await self._run(model)
        exported = ModelExported(
            request_id=request_id, model_version=model.model_version, snapshot_id=model.snapshot_id,
            manifest=result.manifest, model=result.model, image_size_px=model.image_size_px,
            classes=model.classes, ordered_by=by, reason=reason, exported_at=datetime.now(UTC),
        )  # fmt: skip
        await self._database.run(lambda unit: store.record_export(unit, exported))
        self._log.info("model.exported", model_version=model.model_version, request_id=request_id)

    async def _run(self, model: ModelTrained) -> ExportResult:
        report = await self._database.read(lambda c: store.find_report(c, model.model_version))
        spec = ExportSpec(
            version=model.model_version, model=model.model, dataset=model.dataset, report=report,
            classes=model.classes, image_size_px=model.image_size_px,
            scratch=str(self._children.scratch(f"export-{model.model_version}")),
        )  # fmt: skip
        try:
            outcome = await self._children.run(EXPORTING, spec)
        except ChildFailed as error:
            raise Unprocessable(f"model {model.model_version}: {error.message}; {error.remedy}") from error
        assert outcome.export is not None
        return outcome.export


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _base(model: ModelTrained) -> Base:
    return Base(version=model.model_version, network=model.network, model=model.model)


def _trial_completed(request: RequestTraining, result: TrainResult, now: datetime) -> TrialCompleted:
    return TrialCompleted(
        run_id=request.run_id, snapshot_id=request.snapshot_id, network=result.network,
        epochs=result.epochs, best_epoch=result.best_epoch,
        best_val_accuracy=result.best_val_accuracy or 0.0, history=result.history, completed_at=now,
    )  # fmt: skip
