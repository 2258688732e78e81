"""Questions about searches and their trials."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from contracts.values import ObjectRef
from services.reporter.store.models import epochs_of
from services.reporter.store.reading import Row, first, rows
from services.reporter.store.tables import fct_searches
from services.reporter.store.views import rpt_searches_v1, rpt_train_runs_v1

SEARCH = rpt_searches_v1.c
RUN = rpt_train_runs_v1.c
REPORTS = "reports"
FILES = ("report", "page")


def searches(connection: sa.Connection, limit: int) -> list[Row]:
    """Searches, the newest first, each with how its trials stand."""
    moment = sa.func.coalesce(SEARCH.requested_at, SEARCH.completed_at)
    query = sa.select(rpt_searches_v1).order_by(moment.desc(), SEARCH.search_id).limit(limit)
    found = rows(connection, query)
    counted = _counts(connection, [row["search_id"] for row in found])
    return [row | {"counts": counted.get(row["search_id"], {})} for row in found]


def search(connection: sa.Connection, search_id: str) -> Row | None:
    """One search with its trials by number; None when nobody heard of it."""
    row = first(connection, sa.select(rpt_searches_v1).where(SEARCH.search_id == search_id))
    if row is None:
        return None
    query = sa.select(rpt_train_runs_v1).where(RUN.search_id == search_id).order_by(RUN.trial_number)
    found = rows(connection, query)
    epochs = epochs_of(connection, [trial["run_id"] for trial in found])
    return row | {"trial_list": [_trial(trial, row, epochs.get(trial["run_id"], [])) for trial in found]}


def file_of(connection: sa.Connection, search_id: str, name: str) -> ObjectRef | None:
    """Where ``name`` (report or page) of a completed search lies."""
    columns = [fct_searches.c[f"{name}_{part}"] for part in ("key", "size_bytes", "sha256")]
    found = connection.execute(sa.select(*columns).where(fct_searches.c.search_id == search_id)).one_or_none()
    if found is None or found[0] is None:
        return None
    return ObjectRef(bucket=REPORTS, key=found[0], size=found[1], sha256=found[2])


def _counts(connection: sa.Connection, ids: list[str]) -> dict[str, dict[str, int]]:
    # Named first: PostgreSQL takes the same words in SELECT and GROUP BY for two different states.
    of = sa.select(RUN.search_id, _state_of().label("state")).where(RUN.search_id.in_(ids)).subquery()
    query = sa.select(of.c.search_id, of.c.state, sa.func.count()).group_by(of.c.search_id, of.c.state)
    counted: dict[str, dict[str, int]] = {}
    for search_id, name, count in connection.execute(query):
        counted.setdefault(search_id, {})[name] = count
    return counted


def _state_of() -> sa.ColumnElement[str]:
    pruned = sa.func.coalesce(RUN.is_pruned, sa.false())
    return sa.case(
        (sa.and_(RUN.state == "trial-completed", pruned), "pruned"),
        (RUN.state == "trial-completed", "complete"),
        else_=RUN.state,
    )


def _trial(row: Row, search: Row, epochs: list[Row]) -> dict[str, Any]:
    """A trial with the options that are searched, and how far it is."""
    ended = row["state"] == "trial-completed"
    return {
        "number": row["trial_number"],
        "run_id": row["run_id"],
        "state": ("pruned" if row["is_pruned"] else "complete") if ended else row["state"],
        "chosen": {name: _option(row["options"] or {}, name) for name in search["space"] or {}},
        "epochs_planned": row["epochs_requested"],
        "epochs_run": row["epochs_run"] if ended else len(epochs),
        "best_epoch": row["best_epoch"],
        "best_val_accuracy": row["best_validation_accuracy"],
        "val_accuracy": epochs[-1]["val_accuracy"] if epochs else None,
        "eta_s": None if row["outcome"] or not epochs else epochs[-1]["eta_s"],
        "error": row["error"],
        "requested_at": row["requested_at"],
        "ended_at": row["ended_at"],
    }


def _option(options: Row, name: str) -> Any:
    value: Any = options
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
