"""Projections of searches. Their failure or cancel is projected as a run's, under the search's id."""

from __future__ import annotations

from contracts.commands import RequestSearch
from contracts.events import SearchCompleted
from services.reporter.domain.changes import Change, Part, change

REQUESTED = Part("requested", "fct_searches", ("search_id",), ("requested_event_seq",))
COMPLETED = Part("completed", "fct_searches", ("search_id",), ("completed_event_seq",))


def search_requested(event: RequestSearch, seq: int) -> tuple[Change, ...]:
    """A search as it was asked for."""
    values = {
        "snapshot_id": event.snapshot_id,
        "base": event.base,
        "method": event.method,
        "space": event.model_dump(mode="json")["space"],
        "rules": event.rules,
        "options": event.options,
        "trials_planned": event.trials,
        "parallel": event.parallel,
        "is_pruning": event.prune,
        "seed": event.seed,
        "taxonomy_version": event.taxonomy_version,
        "requested_by": event.by,
        "requested_at": event.requested_at,
    }
    return (change(REQUESTED, (event.search_id,), (seq,), values),)


def search_completed(event: SearchCompleted, seq: int) -> tuple[Change, ...]:
    """A search is over and its report stands."""
    values = {
        "trials": event.trials,
        "pruned": event.pruned,
        "failed": event.failed,
        "best_run_id": event.best_run_id,
        "best_validation_accuracy": event.best_val_accuracy,
        "best_options": event.best_options,
        "report_key": event.report.key,
        "report_size_bytes": event.report.size,
        "report_sha256": event.report.sha256,
        "page_key": event.page.key,
        "page_size_bytes": event.page.size,
        "page_sha256": event.page.sha256,
        "completed_at": event.completed_at,
    }
    return (change(COMPLETED, (event.search_id,), (seq,), values),)
