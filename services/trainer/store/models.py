"""Registered models, their versions and the lines they form."""

from __future__ import annotations

import sqlalchemy as sa

from contracts.events import ModelTrained
from contracts.values import ModelVersion
from services.runtime.database import Unit, upsert
from services.trainer.store.tables import counter_table, model_table

VERSIONS_NAMED = 5


def find_model(connection: sa.Connection, version: ModelVersion) -> ModelTrained | None:
    """The registered model of that version."""
    query = sa.select(model_table.c.trained).where(model_table.c.model_version == version)
    trained = connection.execute(query).scalar_one_or_none()
    return None if trained is None else ModelTrained.model_validate(trained)


def known_versions(connection: sa.Connection) -> list[ModelVersion]:
    """The newest registered versions, newest first; as many as a message names."""
    query = sa.select(model_table.c.model_version).order_by(model_table.c.number.desc())
    return list(connection.execute(query.limit(VERSIONS_NAMED)).scalars())


def named_versions(connection: sa.Connection) -> str:
    """The same for people."""
    return ", ".join(known_versions(connection)) or "none yet"


def newest_model(connection: sa.Connection) -> ModelVersion | None:
    """What ``base: newest`` starts from: those that are deployed do not grow from a throw-away one."""
    query = sa.select(model_table.c.model_version).where(sa.not_(model_table.c.throw_away))
    return connection.execute(query.order_by(model_table.c.number.desc()).limit(1)).scalar_one_or_none()


def line_of(connection: sa.Connection, version: ModelVersion | None) -> list[ModelTrained]:
    """The model and what it grew from, newest first; nothing of a version that is not registered.

    Raises:
        LookupError: an ancestor's row is gone, and with it what it was trained on.
    """
    line: list[ModelTrained] = []
    while version is not None and (model := find_model(connection, version)) is not None:
        line.append(model)
        version = model.base_version
    if line and version is not None:
        raise LookupError(
            f"model {line[-1].model_version} was fine-tuned from {version}, whose row is missing; "
            "restore table model from a backup, or train from scratch"
        )
    return line


def next_number(unit: Unit) -> int:
    """The next model number, from 1; the counter's row makes concurrent runs wait for each other."""
    upsert(unit.connection, counter_table, [{"name": "model", "value": 0}], update=[])
    query = sa.update(counter_table).where(counter_table.c.name == "model")
    raised = query.values(value=counter_table.c.value + 1).returning(counter_table.c.value)
    return int(unit.connection.execute(raised).scalar_one())
