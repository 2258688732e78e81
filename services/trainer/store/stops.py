"""Orders to stop a run: a person cancels it, or a search prunes a trial."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import sqlalchemy as sa

from services.runtime.database import Unit, upsert
from services.trainer.store.tables import stop_table


class StopKind(StrEnum):
    """Why a run is stopped before its end."""

    CANCELLED = "cancelled"
    """By a person: it is told as cancelled and leaves nothing."""
    PRUNED = "pruned"
    """By its search: the trial is told as completed so far."""


@dataclass(frozen=True)
class Stop:
    """An order to stop one run."""

    run_id: str
    kind: StopKind
    by: str
    reason: str | None
    asked_at: datetime


def ask_to_stop(unit: Unit, stop: Stop) -> None:
    """Leave the order where whoever works on the run sees it within seconds; the first stays.

    Known, waiting and running runs alike; an order for a run that has ended changes nothing.
    """
    row = {**vars(stop), "kind": stop.kind.value, "asked_at": stop.asked_at.astimezone(UTC)}
    upsert(unit.connection, stop_table, [row], update=[])


def find_stop(connection: sa.Connection, run_id: str) -> Stop | None:
    """The order to stop that run, or None."""
    row = connection.execute(sa.select(stop_table).where(stop_table.c.run_id == run_id)).one_or_none()
    return None if row is None else Stop(**{**row._mapping, "kind": StopKind(row.kind)})
