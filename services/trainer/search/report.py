"""The report of a search: a document that is a function of the request and its trials alone.

Two trainers that report on one search at the same moment write the same bytes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from contracts.commands import RequestSearch
from contracts.events import SearchCompleted
from contracts.training import TrainOptions
from contracts.values import ObjectRef, Value
from services.trainer.search.space import axes_of, with_values
from services.trainer.search.study import importance
from services.trainer.search.trials import Trial, TrialState, best_of

Document = dict[str, Any]


class ReportSpec(Value):
    """What the reporting child is given; ``base`` is a model version, or scratch."""

    request: RequestSearch
    base: str
    trials: tuple[Trial, ...]


class Reported(Value):
    """What it hands back: where the report lies, or a fault of the store that is worth another try."""

    report: ObjectRef | None = None
    page: ObjectRef | None = None
    fault: str | None = None


def document_of(spec: ReportSpec) -> Document:
    """Everything the report says, as JSON."""
    request, trials = spec.request, spec.trials
    asked = request.model_dump(mode="json", exclude={"space", "options", "rules", "trials"})
    ends = [trial.ended_at for trial in trials if trial.ended_at is not None]
    return asked | {
        "base": spec.base,
        "trials_at_most": request.trials,
        "space": request.model_dump(mode="json")["space"],
        "counts": {state.value: count for state, count in _counts(trials).items()},
        "seconds": (max(ends) - min(trial.asked_at for trial in trials)).total_seconds() if ends else 0.0,
        "best": _best(spec),
        "importance": importance(axes_of(request), trials) if trials else None,
        "importance_method": "PED-ANOVA",
        "trials": [_row(trial) for trial in trials],
    }


def best_request(spec: ReportSpec) -> Document | None:
    """The fields of the ``train.requested`` that trains a model as the best trial did."""
    options = best_options(spec.request, spec.trials)
    if options is None:
        return None
    return {
        "snapshot_id": spec.request.snapshot_id,
        "base": spec.base,
        "rules": spec.request.rules.model_dump(mode="json"),
        "options": options.model_dump(mode="json"),
        "taxonomy_version": spec.request.taxonomy_version,
    }


def best_options(request: RequestSearch, trials: Sequence[Trial]) -> TrainOptions | None:
    """Options of the best trial; None when none came to its end."""
    best = best_of(trials)
    return None if best is None else with_values(request.options, best.chosen)


def completed(spec: ReportSpec, report: ObjectRef, page: ObjectRef, now: datetime) -> SearchCompleted:
    """What is told of the search."""
    counts, best = _counts(spec.trials), best_of(spec.trials)
    return SearchCompleted(
        search_id=spec.request.search_id,
        snapshot_id=spec.request.snapshot_id,
        trials=len(spec.trials),
        pruned=counts[TrialState.PRUNED],
        failed=counts[TrialState.FAILED],
        best_run_id=best.run_id if best else None,
        best_val_accuracy=best.best_val_accuracy if best else None,
        best_options=best_options(spec.request, spec.trials),
        report=report,
        page=page,
        completed_at=now,
    )


def to_json(document: object) -> bytes:
    """For people and programs."""
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False).encode()


def _counts(trials: Sequence[Trial]) -> dict[TrialState, int]:
    counted = Counter(trial.state for trial in trials)
    return {state: counted[state] for state in TrialState if state is not TrialState.RUNNING}


def _best(spec: ReportSpec) -> Document | None:
    best = best_of(spec.trials)
    if best is None:
        return None
    own = {"number", "run_id", "chosen", "best_val_accuracy", "best_epoch", "epochs"}
    return best.model_dump(mode="json", include=own) | {"request": best_request(spec)}


def _row(trial: Trial) -> Document:
    seconds = None if trial.ended_at is None else (trial.ended_at - trial.asked_at).total_seconds()
    return trial.model_dump(mode="json") | {"seconds": seconds}
