"""The table of confused pairs, version by version, inside the transaction of the caller."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from contracts.commands import SetConfused
from contracts.events import ConfusedPairsChanged
from services.evaluator.domain.confused import ConfusedChange, ConfusedPairs, ConfusionRefused, replayed
from services.evaluator.domain.faults import ActionRefused
from services.evaluator.review_tables import review_tables
from services.evaluator.store import metadata
from services.runtime.database import Unit, serialise

change_table = review_tables(metadata).confused_change


def confused_pairs(connection: sa.Connection, version: int | None = None) -> ConfusedPairs:
    """The newest version of the table, or the given one.

    Raises:
        ActionRefused: there is no such version.
    """
    query = sa.select(change_table).order_by(change_table.c.version)
    if version is not None:
        query = query.where(change_table.c.version <= version)
    rows = connection.execute(query)
    pairs = replayed(ConfusedChange(row.version, row.one, row.other, row.weight) for row in rows)
    if version is not None and pairs.version != version:
        raise ActionRefused(
            404, f"there is no version {version} of the confused pairs; the newest is {pairs.version}"
        )
    return pairs


def set_confused(unit: Unit, command: SetConfused, at: datetime) -> dict[str, Any]:
    """Make the next version, and tell it; what stands like that already makes none."""
    serialise(unit.connection, "evaluator-confused-pairs")
    pairs = confused_pairs(unit.connection)
    try:
        change = pairs.change(command.one, command.other, command.weight)
    except ConfusionRefused as error:
        raise ActionRefused(422, str(error)) from error
    listed = {(pair.one, pair.other): pair.weight for pair in pairs.pairs}
    told = ConfusedPairsChanged(
        version=change.version, one=change.one, other=change.other, weight=change.weight,
        previous_weight=listed.get((change.one, change.other)), by=command.by, reason=command.reason,
        changed_at=at,
    )  # fmt: skip
    row = told.model_dump() | {"changed_at": at.astimezone(UTC)}
    unit.connection.execute(sa.insert(change_table).values(row))
    unit.emit(told)
    return {"version": told.version, "one": told.one, "other": told.other, "weight": told.weight}


def changes(connection: sa.Connection, limit: int) -> list[dict[str, Any]]:
    """The newest changes, newest first."""
    query = sa.select(change_table).order_by(change_table.c.version.desc()).limit(limit)
    return [dict(row) for row in connection.execute(query).mappings()]
