"""The trainer's tables: snapshots it heard of, runs, registered models and their exports."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum

import sqlalchemy as sa

from contracts.commands import RequestTraining
from contracts.events import (
    ModelExported,
    ModelScored,
    ModelTrained,
    SnapshotPacked,
    TrainFailed,
    TrialCompleted,
)
from contracts.values import ModelVersion, ObjectRef
from services.runtime.database import Unit, new_metadata, upsert

metadata = new_metadata()


class RunState(StrEnum):
    """Where a run stands; all but ``running`` are final."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


snapshot_table = sa.Table(
    "snapshot",
    metadata,
    sa.Column("snapshot_id", sa.Text, primary_key=True),
    sa.Column("packed", sa.JSON, nullable=False),  # the event
)

run_table = sa.Table(
    "run",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("base_version", sa.Text),  # decided once: a rerun starts from the same model
    sa.Column("deaths", sa.Integer, nullable=False),
    sa.Column("request", sa.JSON, nullable=False),  # the command
    sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("ended_at", sa.DateTime(timezone=True)),
)

model_table = sa.Table(
    "model",
    metadata,
    sa.Column("model_version", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False, unique=True),
    sa.Column("run_id", sa.Text, nullable=False, unique=True),
    sa.Column("base_version", sa.Text),
    sa.Column("throw_away", sa.Boolean, nullable=False),
    sa.Column("trained", sa.JSON, nullable=False),  # the event
    sa.Column("report", sa.JSON),  # reference of the newest evaluation report
    sa.Column("scored_at", sa.DateTime(timezone=True)),
)

counter_table = sa.Table(
    "counter",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Integer, nullable=False),
)

export_table = sa.Table(
    "export",
    metadata,
    sa.Column("model_version", sa.Text, primary_key=True),
    sa.Column("request_id", sa.Text, primary_key=True),
    sa.Column("exported", sa.JSON, nullable=False),  # the event
    sa.Column("exported_at", sa.DateTime(timezone=True), nullable=False),
)


def record_snapshot(unit: Unit, packed: SnapshotPacked) -> None:
    """Remember where a snapshot lies; the same event again changes nothing."""
    row = {"snapshot_id": packed.snapshot_id, "packed": packed.model_dump(mode="json")}
    upsert(unit.connection, snapshot_table, [row], update=[])


def find_snapshot(connection: sa.Connection, snapshot_id: str) -> SnapshotPacked | None:
    """The snapshot, or None when it was not heard of yet."""
    query = sa.select(snapshot_table.c.packed).where(snapshot_table.c.snapshot_id == snapshot_id)
    packed = connection.execute(query).scalar_one_or_none()
    return None if packed is None else SnapshotPacked.model_validate(packed)


def begin_run(unit: Unit, request: RequestTraining, now: datetime) -> tuple[RunState, ModelVersion | None]:
    """Enter the run if it is new; returns its state and the version it starts from."""
    query = sa.select(run_table.c.state, run_table.c.base_version).where(run_table.c.run_id == request.run_id)
    known = unit.connection.execute(query).one_or_none()
    if known is not None:
        return RunState(known.state), known.base_version
    base = _base_of(unit.connection, request)
    row = {
        "run_id": request.run_id, "state": RunState.RUNNING.value, "base_version": base, "deaths": 0,
        "request": request.model_dump(mode="json"), "started_at": now,
    }  # fmt: skip
    unit.connection.execute(sa.insert(run_table).values(row))
    return RunState.RUNNING, base


def _base_of(connection: sa.Connection, request: RequestTraining) -> ModelVersion | None:
    if request.base == "scratch":
        return None
    if request.base != "newest":
        return request.base
    # A throw-away model finds images; the line of models that are deployed does not grow from it.
    query = sa.select(model_table.c.model_version).where(sa.not_(model_table.c.throw_away))
    return connection.execute(query.order_by(model_table.c.number.desc()).limit(1)).scalar_one_or_none()


def count_death(unit: Unit, run_id: str) -> int:
    """Note that a child of the run died by itself; returns how many did."""
    query = sa.update(run_table).where(run_table.c.run_id == run_id).values(deaths=run_table.c.deaths + 1)
    return int(unit.connection.execute(query.returning(run_table.c.deaths)).scalar_one())


def find_model(connection: sa.Connection, version: ModelVersion) -> ModelTrained | None:
    """The registered model of that version."""
    query = sa.select(model_table.c.trained).where(model_table.c.model_version == version)
    trained = connection.execute(query).scalar_one_or_none()
    return None if trained is None else ModelTrained.model_validate(trained)


def known_versions(connection: sa.Connection, limit: int) -> list[ModelVersion]:
    """The newest registered versions, newest first."""
    query = sa.select(model_table.c.model_version).order_by(model_table.c.number.desc()).limit(limit)
    return list(connection.execute(query).scalars())


def line_of(connection: sa.Connection, version: ModelVersion | None) -> list[ModelTrained]:
    """The model and what it grew from, newest first."""
    line: list[ModelTrained] = []
    while version is not None and (model := find_model(connection, version)) is not None:
        line.append(model)
        version = model.base_version
    return line


def next_number(unit: Unit) -> int:
    """The next model number, from 1; the counter's row makes concurrent runs wait for each other."""
    upsert(unit.connection, counter_table, [{"name": "model", "value": 0}], update=[])
    query = sa.update(counter_table).where(counter_table.c.name == "model")
    raised = query.values(value=counter_table.c.value + 1).returning(counter_table.c.value)
    return int(unit.connection.execute(raised).scalar_one())


def end_run(unit: Unit, run_id: str, state: RunState, now: datetime) -> bool:
    """Give the run its final state; False when it had one, and then nothing may be told."""
    running = (run_table.c.run_id == run_id) & (run_table.c.state == RunState.RUNNING.value)
    query = sa.update(run_table).where(running).values(state=state.value, ended_at=now)
    return unit.connection.execute(query).rowcount == 1


def end_with(unit: Unit, message: TrialCompleted | TrainFailed, state: RunState, now: datetime) -> None:
    """End a run that registers no model, and tell it once."""
    if end_run(unit, message.run_id, state, now):
        unit.emit(message)


def register(unit: Unit, trained: ModelTrained) -> ModelVersion | None:
    """End the run with a model under the next version, and tell it once.

    ``trained.model_version`` is replaced. None when the run had ended before.
    """
    if not end_run(unit, trained.run_id, RunState.DONE, trained.trained_at.astimezone(UTC)):
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


def record_report(unit: Unit, scored: ModelScored) -> None:
    """Remember the newest evaluation report, which an export carries."""
    at = scored.scored_at.astimezone(UTC)
    older = sa.or_(model_table.c.scored_at.is_(None), model_table.c.scored_at <= at)
    query = sa.update(model_table).where(model_table.c.model_version == scored.model_version, older)
    unit.connection.execute(query.values(report=scored.report.model_dump(mode="json"), scored_at=at))


def find_report(connection: sa.Connection, version: ModelVersion) -> ObjectRef | None:
    """The newest evaluation report of a model."""
    query = sa.select(model_table.c.report).where(model_table.c.model_version == version)
    report = connection.execute(query).scalar_one_or_none()
    return None if report is None else ObjectRef.model_validate(report)


def find_exports(connection: sa.Connection, version: ModelVersion) -> Sequence[ModelExported]:
    """All that was told of exports of a model, oldest first."""
    query = sa.select(export_table.c.exported).where(export_table.c.model_version == version)
    rows = connection.execute(query.order_by(export_table.c.exported_at)).scalars()
    return [ModelExported.model_validate(row) for row in rows]


def record_export(unit: Unit, exported: ModelExported) -> None:
    """Store the export and tell it, once per request."""
    row = {
        "model_version": exported.model_version, "request_id": exported.request_id,
        "exported": exported.model_dump(mode="json"), "exported_at": exported.exported_at.astimezone(UTC),
    }  # fmt: skip
    known = sa.select(export_table.c.request_id).where(
        export_table.c.model_version == exported.model_version,
        export_table.c.request_id == exported.request_id,
    )
    if unit.connection.execute(known).first() is None:
        unit.connection.execute(sa.insert(export_table).values(row))
        unit.emit(exported)
