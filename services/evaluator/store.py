"""The evaluator's tables: the models it heard of, and the scorings it finished."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

from contracts.events import ModelScored, ModelTrained
from services.runtime.database import Unit, new_metadata, upsert

metadata = new_metadata()

model_table = sa.Table(
    "model",
    metadata,
    sa.Column("model_version", sa.Text, primary_key=True),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("trained", sa.JSON, nullable=False),  # the event, for a later evaluation
    sa.Column("trained_at", sa.DateTime(timezone=True), nullable=False),
)

scoring_table = sa.Table(
    "scoring",
    metadata,
    sa.Column("model_version", sa.Text, primary_key=True),
    sa.Column("request_id", sa.Text, primary_key=True),
    sa.Column("verdict", sa.Text, nullable=False),
    sa.Column("report", sa.JSON, nullable=False),
    sa.Column("scores", sa.JSON, nullable=False),
    sa.Column("scored_at", sa.DateTime(timezone=True), nullable=False),
)


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


def scored_at(connection: sa.Connection, model_version: str, request_id: str) -> datetime | None:
    """When that request's scoring was finished, or None."""
    query = sa.select(scoring_table.c.scored_at).where(
        scoring_table.c.model_version == model_version, scoring_table.c.request_id == request_id
    )
    return connection.execute(query).scalar_one_or_none()


def record_scoring(unit: Unit, scored: ModelScored) -> bool:
    """Store the scoring and tell it, once; False when it was told before."""
    if scored_at(unit.connection, scored.model_version, scored.request_id) is not None:
        return False
    row = {
        "model_version": scored.model_version,
        "request_id": scored.request_id,
        "verdict": scored.gate.verdict.value,
        "report": scored.report.model_dump(mode="json"),
        "scores": scored.scores.model_dump(mode="json"),
        "scored_at": scored.scored_at,
    }
    unit.connection.execute(sa.insert(scoring_table).values(row))
    unit.emit(scored)
    return True
