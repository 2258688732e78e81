"""Searches and their trials: each number asked for once, each outcome counted once, told at the end.

Every change of a search waits for the others of the same search (``serialise``), so that two
trainers that hear of two trials at the same moment ask for two different numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import sqlalchemy as sa

from contracts.commands import CancelTraining, RequestSearch, RequestTraining
from contracts.events import SearchCompleted, TrainCancelled, TrainFailed, TrainProgressed
from services.runtime.database import Unit, serialise
from services.trainer.domain.errors import TrainingError
from services.trainer.search import study
from services.trainer.search.space import axes_of, trials_at_most, with_values
from services.trainer.search.trials import PRUNED, Trial, TrialState, hopeless, run_of, running
from services.trainer.store.models import find_model, named_versions, newest_model
from services.trainer.store.runs import cancel_run
from services.trainer.store.search_rows import Ended, outcome_of, trial_rows
from services.trainer.store.stops import Stop, StopKind, ask_to_stop, find_stop
from services.trainer.store.tables import search_table, trial_table

SCRATCH = "scratch"


class SearchState(StrEnum):
    """Where a search stands. Only a running one asks for trials; the last two are final."""

    RUNNING = "running"
    STOPPING = "stopping"
    """Cancelled, and some trials have not ended yet."""
    REPORTING = "reporting"
    """All trials have ended; what is known of them stays as it is."""
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class Search:
    """A search and all its trials by number."""

    request: RequestSearch
    state: SearchState
    base: str
    trials: tuple[Trial, ...]


def search_of(connection: sa.Connection, run_id: str) -> str | None:
    """The search that the run is a trial of, or is itself; None for any other run."""
    trial = sa.select(trial_table.c.search_id).where(trial_table.c.run_id == run_id)
    own = sa.select(search_table.c.search_id).where(search_table.c.search_id == run_id)
    return connection.execute(sa.union_all(trial, own)).scalars().first()


def find_search(connection: sa.Connection, search_id: str) -> Search | None:
    """The search with its trials, or None."""
    row = connection.execute(
        sa.select(search_table).where(search_table.c.search_id == search_id)
    ).one_or_none()
    if row is None:
        return None
    request = RequestSearch.model_validate(row.request)
    return Search(request, SearchState(row.state), row.base, trial_rows(connection, search_id))


def begin_search(unit: Unit, request: RequestSearch, now: datetime) -> None:
    """Enter the search and ask for its first trials; one that cannot start is told as failed.

    One that was cancelled (and told so) before it was heard of asks for none. The same request again asks
    for nothing that was asked for before.
    """
    serialise(unit.connection, _lock(request.search_id))
    if find_search(unit.connection, request.search_id) is None:
        base = _enter(unit, request, now)
        try:
            _check(unit.connection, request, base)
        except TrainingError as error:
            _fail(unit, request.search_id, error, now)
    _advance(unit, request.search_id, now)


def refuse_search(unit: Unit, request: RequestSearch, error: TrainingError, now: datetime) -> None:
    """Tell that a search which could not begin has failed, once; one that has begun goes on."""
    serialise(unit.connection, _lock(request.search_id))
    if find_search(unit.connection, request.search_id) is None:
        _enter(unit, request, now)
        _fail(unit, request.search_id, error, now)


def _enter(unit: Unit, request: RequestSearch, now: datetime) -> str:
    """A row for a new search; returns what its trials start from."""
    newest = newest_model(unit.connection) or SCRATCH
    base = newest if request.base == "newest" else request.base
    cancelled = find_stop(unit.connection, request.search_id) is not None
    state = SearchState.STOPPING if cancelled else SearchState.RUNNING
    row = {
        "search_id": request.search_id, "state": state.value, "started_at": now,
        "request": request.model_dump(mode="json"), "base": base,
    }  # fmt: skip
    unit.connection.execute(sa.insert(search_table).values(row))
    return base


def note_progress(unit: Unit, search_id: str, told: TrainProgressed, now: datetime) -> bool:
    """Note an epoch of a trial, and have a bad trial stopped; returns whether it was asked to stop."""
    serialise(unit.connection, _lock(search_id))
    search = find_search(unit.connection, search_id)
    trial = _trial(search, told.run_id)
    if search is None or trial is None or told.val_accuracy is None or trial.state is not TrialState.RUNNING:
        return False
    steps = {**trial.steps, told.epoch: told.val_accuracy}
    _update(unit, search_id, trial.number, steps=steps)
    if not search.request.prune or search.state is not SearchState.RUNNING or told.epoch >= told.epochs:
        return False
    known = list(search.trials)
    known[trial.number] = trial.model_copy(update={"steps": steps})
    bad = study.is_bad(search.request, axes_of(search.request), known, trial.number)
    if bad:
        ask_to_stop(unit, Stop(trial.run_id, StopKind.PRUNED, f"search {search_id}"[:200], PRUNED, now))
    return bad


def end_trial(unit: Unit, search_id: str, ended: Ended, now: datetime) -> None:
    """Note how a trial ended, and ask for the next one."""
    serialise(unit.connection, _lock(search_id))
    trial = _trial(find_search(unit.connection, search_id), ended.run_id)
    if trial is not None and trial.state is TrialState.RUNNING:
        state, steps = outcome_of(ended)
        _update(
            unit, search_id, trial.number, state=state.value, steps={**trial.steps, **steps},
            outcome=ended.model_dump(mode="json"), ended_at=now,
        )  # fmt: skip
    _advance(unit, search_id, now)


def cancel_search(unit: Unit, asked: CancelTraining, now: datetime) -> bool:
    """Cancel the search that ``asked`` names: no new trial, its running ones are cancelled, told once.

    Returns:
        Whether there is such a search.
    """
    serialise(unit.connection, _lock(asked.run_id))
    search = find_search(unit.connection, asked.run_id)
    if search is None:
        return False
    if search.state is SearchState.RUNNING:
        _set(unit, asked.run_id, SearchState.STOPPING)
        unit.emit(
            TrainCancelled(run_id=asked.run_id, by=asked.by, reason=asked.reason, epochs=0, cancelled_at=now)
        )
        _cancel_trials(unit, asked.run_id, asked.by, asked.reason, now)
        _advance(unit, asked.run_id, now)
    return True


def end_search(unit: Unit, completed: SearchCompleted) -> bool:
    """End a search whose report stands, and tell it once."""
    serialise(unit.connection, _lock(completed.search_id))
    search = find_search(unit.connection, completed.search_id)
    if search is None or search.state is not SearchState.REPORTING:
        return False
    _set(unit, completed.search_id, SearchState.DONE, completed.completed_at.astimezone(UTC))
    unit.emit(completed)
    return True


def _advance(unit: Unit, search_id: str, now: datetime) -> None:
    """Ask for as many trials as may run at once, or see that there is nothing left to wait for."""
    search = find_search(unit.connection, search_id)
    if search is None:
        return
    trials = list(search.trials)
    if search.state is SearchState.RUNNING:
        failed = hopeless(trials)
        if failed is not None:
            error = f"all trials failed alike: {failed.error}"
            _fail(unit, search_id, TrainingError(error, failed.remedy or "see the log of a trial"), now)
            return
        axes = axes_of(search.request)
        most = trials_at_most(search.request, axes)
        while len(trials) < most and len(running(trials)) < search.request.parallel:
            chosen = study.propose(search.request, axes, trials, len(trials))
            trial = Trial(
                number=len(trials), run_id=run_of(search_id, len(trials)), state=TrialState.RUNNING,
                chosen=chosen, steps={}, asked_at=now,
            )  # fmt: skip
            _ask(unit, search, trial)
            trials.append(trial)
    if search.state in (SearchState.RUNNING, SearchState.STOPPING) and not running(trials):
        _set(unit, search_id, SearchState.REPORTING)


def _ask(unit: Unit, search: Search, trial: Trial) -> None:
    request = search.request
    row = {**trial.model_dump(include={"number", "run_id", "state", "chosen", "steps", "asked_at"})}
    row |= {"search_id": request.search_id, "state": trial.state.value}
    unit.connection.execute(sa.insert(trial_table).values(row))
    unit.emit(
        RequestTraining(
            run_id=trial.run_id, snapshot_id=request.snapshot_id, base=search.base, rules=request.rules,
            options=with_values(request.options, trial.chosen), trial=True, search_id=request.search_id,
            trial_number=trial.number, taxonomy_version=request.taxonomy_version, by=request.by,
            requested_at=trial.asked_at,
        )
    )  # fmt: skip


def _check(connection: sa.Connection, request: RequestSearch, base: str) -> None:
    axes = axes_of(request)
    if base == SCRATCH:
        return
    model = find_model(connection, base)
    if model is None:
        names = named_versions(connection)
        raise TrainingError(
            f"there is no model {base} to start from", f"set base to newest, scratch, or one of: {names}"
        )
    tried = next((axis.values for axis in axes if axis.name == "network"), (request.options.network,))
    other = [name for name in tried if name != model.network]
    if other:
        raise TrainingError(
            f"model {base} is a {model.network}, and the search tries {', '.join(map(str, other))}",
            f"set the network to {model.network}, or base to scratch",
        )


def _fail(unit: Unit, search_id: str, error: TrainingError, now: datetime) -> None:
    _set(unit, search_id, SearchState.FAILED, now)
    unit.emit(
        TrainFailed(run_id=search_id, error=error.error[:2000], remedy=error.remedy[:2000], failed_at=now)
    )
    _cancel_trials(unit, search_id, f"search {search_id}"[:200], "the search failed", now)


def _cancel_trials(unit: Unit, search_id: str, by: str, reason: str | None, now: datetime) -> None:
    for trial in running(trial_rows(unit.connection, search_id)):
        order = CancelTraining(
            request_id=trial.run_id, run_id=trial.run_id, by=by, reason=reason, requested_at=now
        )
        cancel_run(unit, order, now)


def _trial(search: Search | None, run_id: str) -> Trial | None:
    found: Sequence[Trial] = search.trials if search else ()
    return next((trial for trial in found if trial.run_id == run_id), None)


def _set(unit: Unit, search_id: str, state: SearchState, ended_at: datetime | None = None) -> None:
    query = sa.update(search_table).where(search_table.c.search_id == search_id)
    unit.connection.execute(query.values(state=state.value, ended_at=ended_at))


def _update(unit: Unit, search_id: str, number: int, **values: object) -> None:
    own = (trial_table.c.search_id == search_id, trial_table.c.number == number)
    unit.connection.execute(sa.update(trial_table).where(*own).values(values))


def _lock(search_id: str) -> str:
    return f"search {search_id}"
