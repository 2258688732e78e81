"""Scorings and comparisons that are finished: each is told once, with the transaction that notes it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from contracts.events import ModelRescored, ModelsCompared, ModelScored
from contracts.values import ObjectRef
from services.evaluator.store.tables import comparison_table, scoring_table
from services.runtime.database import Unit, serialise

TOLD = "evaluator results"


def scored_at(connection: sa.Connection, model_version: str, request_id: str) -> datetime | None:
    """When that request's scoring was finished, or None."""
    query = sa.select(scoring_table.c.scored_at).where(
        scoring_table.c.model_version == model_version, scoring_table.c.request_id == request_id
    )
    return connection.execute(query).scalar_one_or_none()


def record_scoring(unit: Unit, scored: ModelScored | ModelRescored, matrix: str | None = None) -> bool:
    """Store the scoring and tell it, once; False when it was told before.

    ``matrix`` names what the scores depend on, so that a comparison finds them.
    """
    serialise(unit.connection, TOLD)
    if scored_at(unit.connection, scored.model_version, scored.request_id) is not None:
        return False
    row = {
        "model_version": scored.model_version,
        "request_id": scored.request_id,
        "verdict": scored.gate.verdict.value,
        "report": scored.report.model_dump(mode="json"),
        "scores": scored.scores.model_dump(mode="json"),
        "scored_at": scored.scored_at,
        "matrix": matrix,
        "taxonomy_version": scored.taxonomy_version if isinstance(scored, ModelRescored) else None,
    }
    unit.connection.execute(sa.insert(scoring_table).values(row))
    unit.emit(scored)
    return True


def known_matrices(connection: sa.Connection, model_version: str) -> list[tuple[str, ObjectRef]]:
    """Matrices of that model in the store, by what they depend on; the newest first."""
    query = sa.select(scoring_table.c.matrix, scoring_table.c.scores).where(
        scoring_table.c.model_version == model_version, scoring_table.c.matrix.is_not(None)
    )
    rows = connection.execute(query.order_by(scoring_table.c.scored_at.desc())).all()
    return [(row.matrix, ObjectRef.model_validate(row.scores)) for row in rows]


def newest_scorings(connection: sa.Connection, model_version: str, limit: int) -> list[sa.RowMapping]:
    """request_id, report and scores of so many of that model's scorings, the newest first.

    The newest by its own classes is among them, or scorings by many others would hide it.
    """
    table = scoring_table.c
    query = sa.select(table.request_id, table.report, table.scores)
    newest = query.where(table.model_version == model_version).order_by(
        table.scored_at.desc(), table.request_id
    )
    own = connection.execute(newest.where(table.taxonomy_version.is_(None)).limit(1)).mappings().all()
    rows = connection.execute(newest.limit(limit)).mappings().all()
    if own and own[0]["request_id"] not in {row["request_id"] for row in rows}:
        rows = [*rows[: limit - 1], *own]
    return list(rows)


def find_scoring(
    connection: sa.Connection, model_version: str | None, request_id: str | None
) -> sa.RowMapping | None:
    """That scoring, or the newest of the model (of any) on its own data set and classes; None: none."""
    table = scoring_table.c
    columns = (table.model_version, table.request_id, table.report, table.scored_at, table.taxonomy_version)
    query = sa.select(*columns).order_by(table.scored_at.desc(), table.request_id)
    if model_version is not None:
        query = query.where(table.model_version == model_version)
    own = table.taxonomy_version.is_(None) if request_id is None else table.request_id == request_id
    return connection.execute(query.where(own).limit(1)).mappings().one_or_none()


def scored_versions(connection: sa.Connection, limit: int) -> list[str]:
    """Models with a scoring of their own, the newest scoring first."""
    newest = sa.func.max(scoring_table.c.scored_at)
    query = sa.select(scoring_table.c.model_version).where(scoring_table.c.taxonomy_version.is_(None))
    query = query.group_by(scoring_table.c.model_version).order_by(newest.desc()).limit(limit)
    return list(connection.execute(query).scalars())


def is_compared(connection: sa.Connection, request_id: str) -> bool:
    """Whether that request's comparison is finished."""
    query = sa.select(comparison_table.c.request_id).where(comparison_table.c.request_id == request_id)
    return connection.execute(query).scalar_one_or_none() is not None


def record_comparison(unit: Unit, compared: ModelsCompared) -> bool:
    """Store the comparison and tell it, once; False when it was told before."""
    serialise(unit.connection, TOLD)
    if is_compared(unit.connection, compared.request_id):
        return False
    row: dict[str, Any] = {
        "request_id": compared.request_id,
        "compared": compared.model_dump(mode="json"),
        "compared_at": compared.compared_at,
    }
    unit.connection.execute(sa.insert(comparison_table).values(row))
    unit.emit(compared)
    return True
