"""Rows of trials as values, and what the events that end a trial say of it."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

from contracts.events import TrainCancelled, TrainFailed, TrialCompleted
from services.trainer.search.trials import Trial, TrialState
from services.trainer.store.tables import trial_table

Ended = TrialCompleted | TrainFailed | TrainCancelled


def trial_rows(connection: sa.Connection, search_id: str) -> tuple[Trial, ...]:
    """All trials of a search by number."""
    query = sa.select(trial_table).where(trial_table.c.search_id == search_id)
    return tuple(_trial(row) for row in connection.execute(query.order_by(trial_table.c.number)))


def outcome_of(ended: Ended) -> tuple[TrialState, dict[int, float]]:
    """The trial's final state, and the epoch that it names with its validation accuracy."""
    match ended:
        case TrialCompleted():
            state = TrialState.PRUNED if ended.pruned else TrialState.COMPLETE
            # Its progress may be heard later than its end, when it no longer counts.
            return state, {ended.best_epoch: ended.best_val_accuracy} if ended.best_epoch else {}
        case TrainFailed():
            return TrialState.FAILED, {}
        case TrainCancelled():
            return TrialState.CANCELLED, {}


def _trial(row: sa.Row[tuple[object, ...]]) -> Trial:
    outcome = row.outcome or {}
    return Trial(
        number=row.number, run_id=row.run_id, state=row.state, chosen=row.chosen, steps=row.steps,
        best_val_accuracy=outcome.get("best_val_accuracy"), best_epoch=outcome.get("best_epoch"),
        epochs=outcome.get("epochs"), error=outcome.get("error"), remedy=outcome.get("remedy"),
        asked_at=_utc(row.asked_at), ended_at=None if row.ended_at is None else _utc(row.ended_at),
    )  # fmt: skip


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
