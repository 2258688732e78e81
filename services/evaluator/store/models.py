"""Models that the evaluator heard of."""

from __future__ import annotations

from datetime import UTC

import sqlalchemy as sa

from contracts.events import ModelTrained
from services.evaluator.store.tables import model_table
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
