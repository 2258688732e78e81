"""Runs: begun once, ended once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import sqlalchemy as sa

from contracts.commands import CancelTraining, RequestTraining
from contracts.events import ModelTrained, TrainCancelled, TrainFailed, TrainProgressed, TrialCompleted
from contracts.values import ModelVersion
from services.runtime.database import Unit, serialise
from services.trainer.store.leases import run_lease
from services.trainer.store.models import newest_model, next_number
from services.trainer.store.stops import Stop, StopKind, ask_to_stop, find_stop
from services.trainer.store.tables import model_table, run_table


class RunState(StrEnum):
    """Where a run stands; the last three are final."""

    RUNNING = "running"
    GIVEN_UP = "given-up"
    """Told as failed, because its message was put aside; sent again, the run goes on where it stopped."""
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """Nothing of the run is needed any more."""
        return self in (RunState.DONE, RunState.FAILED, RunState.CANCELLED)


@dataclass(frozen=True)
class Run:
    """What is known of a run that was begun."""

    run_id: str
    state: RunState
    base_version: ModelVersion | None
    epochs: int
    owner: str | None


def find_run(connection: sa.Connection, run_id: str) -> Run | None:
    """The run, or None when it waits, or was never asked for."""
    columns = [run_table.c[name] for name in ("run_id", "state", "base_version", "epochs", "owner")]
    row = connection.execute(sa.select(*columns).where(run_table.c.run_id == run_id)).one_or_none()
    return None if row is None else Run(**{**row._mapping, "state": RunState(row.state)})


def begin_run(unit: Unit, request: RequestTraining, now: datetime) -> tuple[RunState, ModelVersion | None]:
    """Enter the run if it is new; returns its state and the version it starts from.

    One that was cancelled while it waited (and told so then) is entered as cancelled; one that was given
    up runs again, from the base that was chosen then.
    """
    serialise(unit.connection, f"run {request.run_id}")
    known = find_run(unit.connection, request.run_id)
    if known is None:
        stop, base = find_stop(unit.connection, request.run_id), _base_of(unit.connection, request)
        cancelled = stop is not None and stop.kind is StopKind.CANCELLED
        state = RunState.CANCELLED if cancelled else RunState.RUNNING
        row = {
            "run_id": request.run_id, "base_version": base, "deaths": 0, "state": state.value,
            "request": request.model_dump(mode="json"), "started_at": now,
            "ended_at": now if cancelled else None,
        }  # fmt: skip
        unit.connection.execute(sa.insert(run_table).values(row))
        return state, base
    if known.state is RunState.GIVEN_UP:
        own = sa.update(run_table).where(run_table.c.run_id == request.run_id)
        unit.connection.execute(own.values(state=RunState.RUNNING.value, ended_at=None))
        return RunState.RUNNING, known.base_version
    return known.state, known.base_version


def give_up(unit: Unit, request: RequestTraining, failed: TrainFailed, now: datetime) -> bool:
    """Tell that a run whose message was put aside has failed, once; one that has ended stays as it is.

    Returns:
        False while a trainer works on it all the same: that one tells how it ends.
    """
    serialise(unit.connection, f"run {request.run_id}")
    if find_run(unit.connection, request.run_id) is None:
        begin_run(unit, request, now)  # its snapshot never came
    if run_lease.is_held(unit.connection, request.run_id):
        return False
    end_with(unit, failed, RunState.GIVEN_UP, now)
    return True


def _base_of(connection: sa.Connection, request: RequestTraining) -> ModelVersion | None:
    if request.base == "scratch":
        return None
    return newest_model(connection) if request.base == "newest" else request.base


def record_progress(unit: Unit, told: TrainProgressed, owner: str | None = None) -> None:
    """Tell one more epoch of a running run; an owner that lost it tells nothing."""
    mine = _running(told.run_id, owner)
    if unit.connection.execute(sa.update(run_table).where(*mine).values(epochs=told.epoch)).rowcount == 1:
        unit.emit(told)


def cancel_run(unit: Unit, asked: CancelTraining, now: datetime) -> RunState | None:
    """Cancel a run wherever it stands; returns how it stood before, None for one that has not begun.

    One that a trainer works on is left to that trainer, which looks for the order each second. Any
    other that has not ended, also one that was only heard of here, is told as cancelled at once.
    """
    serialise(unit.connection, f"run {asked.run_id}")
    known = find_run(unit.connection, asked.run_id)
    if known is not None and known.state is not RunState.RUNNING:
        return known.state
    first = find_stop(unit.connection, asked.run_id) is None
    ask_to_stop(unit, Stop(asked.run_id, StopKind.CANCELLED, asked.by, asked.reason, now))
    if known is not None:
        if not run_lease.is_held(unit.connection, asked.run_id):
            cancel_instead(unit, asked.run_id, now)
        return known.state
    if first:
        unit.emit(_cancelled(asked.run_id, asked.by, asked.reason, 0, now))
    return None


def cancel_instead(unit: Unit, run_id: str, now: datetime, owner: str | None = None) -> bool:
    """End a running run as cancelled, if a person asked for that; tells it once."""
    stop, known = find_stop(unit.connection, run_id), find_run(unit.connection, run_id)
    if stop is None or known is None or stop.kind is not StopKind.CANCELLED:
        return False
    if end_run(unit, run_id, RunState.CANCELLED, now, owner):
        unit.emit(_cancelled(run_id, stop.by, stop.reason, known.epochs, now))
    return True


def end_run(unit: Unit, run_id: str, state: RunState, now: datetime, owner: str | None = None) -> bool:
    """Give the run its final state; False when it had one, and then nothing may be told.

    With ``owner``, only that one can end it.
    """
    query = sa.update(run_table).where(*_running(run_id, owner))
    ended = query.values(state=state.value, ended_at=now, owner=None, lease_until=None)
    return unit.connection.execute(ended).rowcount == 1


def end_with(
    unit: Unit,
    message: TrialCompleted | TrainFailed,
    state: RunState,
    now: datetime,
    owner: str | None = None,
) -> None:
    """End a run that registers no model, and tell it once."""
    if not cancel_instead(unit, message.run_id, now, owner) and end_run(
        unit, message.run_id, state, now, owner
    ):
        unit.emit(message)


def register(unit: Unit, trained: ModelTrained, owner: str | None = None) -> ModelVersion | None:
    """End the run with a model under the next version, and tell it once.

    ``trained.model_version`` is replaced. None when the run had ended before, or was cancelled.
    """
    now = trained.trained_at.astimezone(UTC)
    if cancel_instead(unit, trained.run_id, now, owner):
        return None
    if not end_run(unit, trained.run_id, RunState.DONE, now, owner):
        return None
    number = next_number(unit)
    named = trained.model_copy(update={"model_version": f"{number:03d}"})
    row = {
        "model_version": named.model_version, "number": number, "run_id": named.run_id,
        "base_version": named.base_version, "throw_away": named.throw_away,
        "trained": named.model_dump(mode="json"),
    }  # fmt: skip
    unit.connection.execute(sa.insert(model_table).values(row))
    unit.emit(named)
    return named.model_version


def _running(run_id: str, owner: str | None) -> Sequence[sa.ColumnElement[bool]]:
    running = (run_table.c.run_id == run_id, run_table.c.state == RunState.RUNNING.value)
    return running if owner is None else (*running, run_table.c.owner == owner)


def _cancelled(run_id: str, by: str, reason: str | None, epochs: int, now: datetime) -> TrainCancelled:
    return TrainCancelled(run_id=run_id, by=by, reason=reason, epochs=epochs, cancelled_at=now)
