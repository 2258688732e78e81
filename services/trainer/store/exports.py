"""Exports of models, and the evaluation reports that they carry."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC

import sqlalchemy as sa

from contracts.events import ModelExported, ModelScored
from contracts.values import ModelVersion, ObjectRef
from services.runtime.database import Unit
from services.trainer.store.tables import export_table, model_table


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
