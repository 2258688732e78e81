"""Hears what to train, has a child do it under a lease, and tells how it went."""

from __future__ import annotations

import asyncio
import shutil
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from contracts.commands import RequestTraining
from contracts.events import ModelTrained, SnapshotPacked
from services.runtime.child import ChildDied, ChildFailed
from services.runtime.database import Database
from services.runtime.delivery import Delivery, Postponed
from services.runtime.leases import LeaseLost
from services.runtime.objectstore import ObjectStore
from services.runtime.orders import EXIT_LEFT_ALONE
from services.trainer import store
from services.trainer.domain.specs import Base, Outcome, Told, TrainSpec
from services.trainer.fitting.faults import STORE_FAULTS
from services.trainer.handlers.children import Children, NotYet
from services.trainer.handlers.leased import LeasedChild, StopOverdue
from services.trainer.handlers.telling import RunTeller
from services.trainer.runs.checkpoints import remove_checkpoints
from services.trainer.runs.log import join_log_left
from services.trainer.runs.memory import names_memory
from services.trainer.settings import TrainerSettings

FOLDER = "train-"
"""Beginning of the names of the runs' folders in the work folder."""
DEATH_PAUSE_S = 0.5


class Trainer:
    """Handlers of ``trainer-snapshots`` and ``trainer-requests``."""

    def __init__(self, database: Database, settings: TrainerSettings, log: Any) -> None:
        self._database = database
        self._settings = settings
        self._children = Children(settings)
        self._leased = LeasedChild(database, self._children, settings, log)
        self._teller = RunTeller(database, log)
        self._log = log

    async def note_snapshot(self, delivery: Delivery[SnapshotPacked]) -> None:
        """Requests name snapshots by id; the reference to the manifest is only in this event."""
        await self._database.run(lambda unit: store.record_snapshot(unit, delivery.message))

    async def train(self, delivery: Delivery[RequestTraining]) -> None:
        """Run the request to its end, once; a rerun after a crash goes on from the last checkpoint.

        Raises:
            Postponed: another trainer has it in hand.
            NotYet: its snapshot is not known yet, or the object store failed.
        """
        request = delivery.message
        snapshot = await self._database.read(lambda c: store.find_snapshot(c, request.snapshot_id))
        stop = await self._database.read(lambda c: store.find_stop(c, request.run_id))
        if snapshot is None and stop is None:
            raise NotYet(f"snapshot {request.snapshot_id!r} is not known to the trainer (yet)")
        now = datetime.now(UTC)
        state, base = await self._database.run(lambda unit: store.begin_run(unit, request, now))
        if state is not store.RunState.RUNNING:
            self._log.info("run.repeated", run_id=request.run_id, state=state.value)
            await self._tidy(request.run_id)
            return
        if snapshot is None:
            raise NotYet(f"snapshot {request.snapshot_id!r} is not known to the trainer (yet)")
        line = await self._database.read(lambda c: store.line_of(c, base))
        if base is not None and not line:
            await self._teller.unknown_base(request.run_id, base)
            return
        await self._own(delivery, self._spec(request, snapshot, line), snapshot)

    async def _own(
        self, delivery: Delivery[RequestTraining], spec: TrainSpec, snapshot: SnapshotPacked
    ) -> None:
        owner, lease_s = uuid.uuid4().hex, self._settings.lease_s
        await self._sweep()
        if not await self._database.run(lambda unit: store.run_lease.take(unit, spec.run_id, owner, lease_s)):
            raise Postponed(f"another trainer works on run {spec.run_id}", lease_s / 2)
        self._log.info("run.started", run_id=spec.run_id, base=spec.base.version if spec.base else None)
        try:
            await self._run(delivery, spec, snapshot, owner)
            await self._check_over(spec.run_id)
        except LeaseLost as lost:
            self._log.warning("run.lost", run_id=spec.run_id, error=str(lost))
            raise Postponed(str(lost), lease_s / 2) from lost
        finally:  # also when the service stops: another trainer need not wait for the lease to end
            await asyncio.shield(
                self._database.run(lambda unit: store.run_lease.release(unit, spec.run_id, owner))
            )
        await self._tidy(spec.run_id)

    async def _check_over(self, run_id: str) -> None:
        """Raise LeaseLost if what was told of the run was refused: another works on it, and needs it all."""
        run = await self._database.read(partial(store.find_run, run_id=run_id))
        if run is None or not run.state.is_over:
            raise LeaseLost(f"run {run_id} was taken over before its end could be told")

    async def _run(
        self, delivery: Delivery[RequestTraining], spec: TrainSpec, snapshot: SnapshotPacked, owner: str
    ) -> None:
        request, teller = delivery.message, self._teller
        try:
            outcome = await self._to_its_end(delivery, spec, owner)
        except ChildFailed as error:
            await teller.failed(spec.run_id, error.message, error.remedy, owner)
        except ChildDied as error:
            await teller.died(request, error, self._settings.deaths_max_per_run, owner)
        except StopOverdue as error:
            await teller.failed(spec.run_id, str(error), "ask for the run again, if it is needed", owner)
        else:
            if outcome.stopped is not None:
                await teller.stopped(request, outcome.stopped, owner)
                return
            assert outcome.train is not None
            base = spec.base.version if spec.base else None
            await teller.trained(request, snapshot, base, outcome.train, owner)

    async def _to_its_end(self, delivery: Delivery[RequestTraining], spec: TrainSpec, owner: str) -> Outcome:
        """Children one after another, each going on where the one before it died.

        Raises:
            ChildDied: memory ran out, or too many died without any coming further.
        """
        run_id = spec.run_id

        async def report(progress: dict[str, Any]) -> None:
            told = Told.model_validate(progress)
            if told.checkpoint is not None:
                await self._kept(delivery, run_id, owner, told.checkpoint)
            if told.epoch is not None:
                await self._teller.progressed(run_id, told.epoch, owner)

        while True:
            try:
                return await self._leased.run(spec, owner, report)
            except ChildDied as error:
                await self._again_after(error, run_id, owner)
                spec = spec.model_copy(update={"former_death": str(error)})
                await asyncio.sleep(DEATH_PAUSE_S)

    async def _again_after(self, error: ChildDied, run_id: str, owner: str) -> None:
        """Raise ``error`` if the run is not worth another child."""
        if error.code == EXIT_LEFT_ALONE:  # this process was held: no fault of the child's
            self._log.warning("run.child_left_alone", run_id=run_id)
            return
        deaths = await self._database.run(lambda unit: store.count_death(unit, run_id, owner))
        if names_memory(str(error)) or deaths >= self._settings.deaths_max_per_run:
            raise error
        self._log.warning("run.child_died", run_id=run_id, deaths=deaths, error=str(error))

    async def _kept(
        self, delivery: Delivery[RequestTraining], run_id: str, owner: str, checkpoint: int
    ) -> None:
        await self._database.run(lambda unit: store.note_checkpoint(unit, run_id, owner, checkpoint))
        await delivery.progressed()

    def _spec(
        self, request: RequestTraining, snapshot: SnapshotPacked, line: Sequence[ModelTrained]
    ) -> TrainSpec:
        return TrainSpec(
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
            scratch=str(self._children.scratch(f"{FOLDER}{request.run_id}")),
        )

    async def _sweep(self) -> None:
        """Folders of runs that ended on another machine."""
        for folder in self._settings.work_dir.glob(f"{FOLDER}*"):
            run_id = folder.name.removeprefix(FOLDER)
            known = await self._database.read(partial(store.find_run, run_id=run_id))
            if known is not None and known.state.is_over:
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _tidy(self, run_id: str) -> None:
        """Remove what only a run needs that is not over, and join the log of a child that was killed.

        A failure is logged: the run is over all the same.
        """
        await asyncio.to_thread(
            shutil.rmtree, self._children.scratch(f"{FOLDER}{run_id}"), ignore_errors=True
        )
        objects = ObjectStore(self._settings)
        try:
            await asyncio.to_thread(remove_checkpoints, objects, run_id)
            await asyncio.to_thread(join_log_left, objects, run_id)
        except STORE_FAULTS as error:
            self._log.warning("run.untidy", run_id=run_id, error=repr(error))


def _base(model: ModelTrained) -> Base:
    return Base(version=model.model_version, network=model.network, model=model.model)
