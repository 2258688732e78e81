"""Models that the evaluator heard of, and which of them went into production."""

from __future__ import annotations

from datetime import UTC

import sqlalchemy as sa

from contracts.events import ModelExported, ModelTrained
from contracts.values import ObjectRef
from services.evaluator.store.tables import exported_table, model_table
from services.runtime.database import Unit, upsert


def record_model(unit: Unit, trained: ModelTrained) -> None:
    """Remember the model; the same event again changes nothing."""
    row = {
        "model_version": trained.model_version,
        "run_id": trained.run_id,
        "trained": trained.model_dump(mode="json"),
        "trained_at": trained.trained_at.astimezone(UTC),  # SQLite drops the zone
    }
    upsert(unit.connection, model_table, [row], update=[])


def find_model(connection: sa.Connection, model_version: str) -> ModelTrained | None:
    """The model of that version, or None when it was never heard of."""
    query = sa.select(model_table.c.trained).where(model_table.c.model_version == model_version)
    trained = connection.execute(query).scalar_one_or_none()
    return None if trained is None else ModelTrained.model_validate(trained)


def known_versions(connection: sa.Connection, limit: int) -> list[str]:
    """The newest versions heard of, newest first."""
    query = sa.select(model_table.c.model_version).order_by(model_table.c.trained_at.desc()).limit(limit)
    return list(connection.execute(query).scalars())


def line_of(connection: sa.Connection, trained: ModelTrained) -> list[ModelTrained]:
    """The model and those it was fine-tuned from, itself first, as far as they were heard of."""
    line: list[ModelTrained] = []
    step: ModelTrained | None = trained
    while step is not None and step.model_version not in {one.model_version for one in line}:
        line.append(step)
        step = find_model(connection, step.base_version) if step.base_version else None
    return line


def record_export(unit: Unit, exported: ModelExported) -> None:
    """Remember that the model was given out; the same event again changes nothing."""
    row = {
        "model_version": exported.model_version,
        "request_id": exported.request_id,
        "exported_at": exported.exported_at.astimezone(UTC),
    }
    upsert(unit.connection, exported_table, [row], update=[])


def in_production(connection: sa.Connection, but: str) -> str | None:
    """The version that was exported last, of all but that one; None before any was."""
    query = sa.select(exported_table.c.model_version).where(exported_table.c.model_version != but)
    newest = query.order_by(exported_table.c.exported_at.desc(), exported_table.c.model_version.desc())
    return connection.execute(newest.limit(1)).scalar_one_or_none()


def learned_from(connection: sa.Connection, trained: ModelTrained) -> tuple[ObjectRef, ...]:
    """Data sets that the model and those it was fine-tuned from learned from, its own first."""
    return tuple(one.dataset for one in line_of(connection, trained))
