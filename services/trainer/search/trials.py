"""What is known of a search's trials. Pure values: the tables are in the store, the choices in study.py."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum

from contracts.values import Value

PRUNED = "pruned"
"""Reason of the cancel that ends a bad trial: it is told as completed and pruned, not as cancelled."""
FAILURES_AT_FIRST = 3
"""So many trials that fail alike before any succeeds: their options make no difference."""
RUN_ID_CHARS = 64  # contracts.commands.RequestId

Scalar = bool | int | float | str
Chosen = Mapping[str, Scalar]


class TrialState(StrEnum):
    """Where a trial stands; all but ``running`` (asked for, perhaps waiting) are final."""

    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Trial(Value):
    """One run of a search."""

    number: int
    run_id: str
    state: TrialState
    chosen: dict[str, Scalar]
    """Option -> value, of the options that are searched."""
    steps: dict[int, float]
    """Epoch -> validation accuracy, as far as heard."""
    best_val_accuracy: float | None = None
    best_epoch: int | None = None
    epochs: int | None = None
    error: str | None = None
    remedy: str | None = None
    asked_at: datetime
    ended_at: datetime | None = None


def run_of(search_id: str, number: int) -> str:
    """Run id of a trial: the same search and number give the same."""
    name = f"{search_id}-t{number:03d}"
    if len(name) <= RUN_ID_CHARS:
        return name
    return f"{hashlib.sha256(search_id.encode()).hexdigest()[:40]}-t{number:03d}"


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """The trial with the highest validation accuracy of those that came to their end; the first of equals."""
    done = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    return max(done, key=lambda trial: (trial.best_val_accuracy or 0.0, -trial.number), default=None)


def running(trials: Sequence[Trial]) -> list[Trial]:
    """Those that have not ended."""
    return [trial for trial in trials if trial.state is TrialState.RUNNING]


def hopeless(trials: Sequence[Trial]) -> Trial | None:
    """One of the failed trials when the first ones failed alike, whatever their options were."""
    ended = [trial for trial in trials if trial.state is not TrialState.RUNNING]
    if len(ended) < FAILURES_AT_FIRST or any(trial.state is not TrialState.FAILED for trial in ended):
        return None
    # A remedy that names a searched value ("now 0.5") differs from trial to trial.
    return ended[0] if len({(trial.error, trial.remedy) for trial in ended}) == 1 else None
