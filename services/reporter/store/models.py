"""Questions about snapshots, training runs and models."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from services.reporter.store.reading import Row, first, rows
from services.reporter.store.tables import (
    fct_gate_rules,
    fct_model_scores,
    fct_searches,
    fct_snapshots,
    fct_train_epochs,
    fct_train_runs,
)
from services.reporter.store.views import rpt_models_v1, rpt_train_runs_v1

MODEL = rpt_models_v1.c
RUN = rpt_train_runs_v1.c
EPOCH = fct_train_epochs.c
REQUEST = (
    "snapshot_id",
    "base",
    "network",
    "rules",
    "options",
    "search_id",
    "trial_number",
    "requested_by",
    "requested_at",
)
OUTCOME = (
    "outcome",
    "model_version",
    "base_version",
    "epochs_run",
    "best_epoch",
    "summary_key",
    "curves_key",
    "log_key",
    "seconds",
    "cost",
    "is_pruned",
    "cancelled_by",
    "cancel_reason",
    "error",
    "remedy",
    "ended_at",
)
EPOCH_FIGURES = (
    "images_per_s",
    "eta_s",
    "learning_rate",
    "data_wait_share",
    "cpu_share",
    "gpu_share",
    "cost",
    "cost_estimate",
    "progressed_at",
)
RUNS_LOOKED_AT = 50
"""Of the newest runs, for those that have not ended."""
SIDES = ("train", "validation", "test", "benchmark", "out")
NOT_OF_A_SET = {
    "model_version",
    "request_id",
    "event_seq",
    "set_position",
    "set_name",
    "scored_at",
    "threshold",
}


def snapshots(connection: sa.Connection) -> list[Row]:
    """Packed snapshots, newest first."""
    columns = [column for column in fct_snapshots.c if column.name != "event_seq"]
    return rows(connection, sa.select(*columns).order_by(fct_snapshots.c.packed_at.desc(), "request_id"))


def model_list(connection: sa.Connection) -> list[Row]:
    """Models by version, each with its newest scores and gate."""
    scores = _of_newest_scoring(connection, fct_model_scores, "set_position")
    rules = _of_newest_scoring(connection, fct_gate_rules, "rule_position")
    found = rows(connection, sa.select(rpt_models_v1).order_by(MODEL.model_version))
    return [_model(row, scores, rules) for row in found]


def run(connection: sa.Connection, run_id: str) -> Row | None:
    """A run as asked for, its epochs and how it ended; None when nobody heard of it."""
    row = first(connection, sa.select(rpt_train_runs_v1).where(RUN.run_id == run_id))
    epochs = epochs_of(connection, [run_id]).get(run_id, [])
    if row is None and not epochs:
        return None
    return run_shape(row or {"run_id": run_id, "state": "running"}, epochs)


def newest_runs(connection: sa.Connection, limit: int) -> list[Row]:
    """Runs with their epochs, the newest first; one that only has epochs so far is among them."""
    active = (
        sa.select(EPOCH.run_id, sa.func.max(EPOCH.progressed_at).label("active_at"))
        .group_by(EPOCH.run_id)
        .subquery()
    )
    known = fct_train_runs.c
    moment = sa.func.coalesce(known.requested_at, active.c.active_at, known.ended_at)
    joined = fct_train_runs.join(active, active.c.run_id == known.run_id, isouter=True)
    # How a search failed or was cancelled is told under its id, as a run's is.
    no_search = known.run_id.not_in(sa.select(fct_searches.c.search_id))
    query = sa.select(known.run_id).select_from(joined).where(no_search)
    query = query.order_by(moment.desc(), known.run_id)
    ids = list(connection.scalars(query.limit(limit)))
    unnamed = sa.select(active.c.run_id).where(active.c.run_id.not_in(sa.select(known.run_id)))
    ids = [*connection.scalars(unnamed.limit(limit)), *ids][:limit]
    found = {
        row["run_id"]: row
        for row in rows(connection, sa.select(rpt_train_runs_v1).where(RUN.run_id.in_(ids)))
    }
    epochs = epochs_of(connection, ids)
    return [
        run_shape(found.get(run_id, {"run_id": run_id, "state": "running"}), epochs.get(run_id, []))
        for run_id in ids
    ]


def training(connection: sa.Connection) -> list[Row]:
    """Runs that have not ended, the newest first, each with its newest epoch: None while it waits."""
    newest = newest_runs(connection, RUNS_LOOKED_AT)
    return [
        {"run_id": run["run_id"], "network": (run["request"] or {}).get("network")}
        | {"epoch": run["epochs"][-1] if run["epochs"] else None}
        for run in newest
        if run["state"] == "running"
    ]


def epochs_of(connection: sa.Connection, run_ids: list[str]) -> dict[str, list[Row]]:
    """Run -> its epochs in order."""
    query = (
        sa.select(
            EPOCH.run_id,
            EPOCH.epoch,
            EPOCH.epochs_planned.label("epochs"),
            EPOCH.loss,
            EPOCH.accuracy,
            EPOCH.validation_loss.label("val_loss"),
            EPOCH.validation_accuracy.label("val_accuracy"),
            *(EPOCH[name] for name in EPOCH_FIGURES),
        )
        .where(EPOCH.run_id.in_(run_ids))
        .order_by(EPOCH.run_id, EPOCH.epoch)
    )
    found: dict[str, list[Row]] = {}
    for row in rows(connection, query):
        found.setdefault(row.pop("run_id"), []).append(row)
    return found


def run_shape(row: Row, epochs: list[Row]) -> Row:
    """``{"run_id","state","request","epochs","outcome"}``; a side nobody heard of yet is None."""
    request = outcome = None
    if row.get("requested_at") is not None:
        request = {name: row[name] for name in REQUEST} | {
            "epochs": row["epochs_requested"],
            "throw_away": row["is_throw_away"],
            "trial": row["is_trial"],
        }
    if row.get("outcome") is not None:
        outcome = {name: row[name] for name in OUTCOME} | {
            "best_val_accuracy": row["best_validation_accuracy"],
            "snapshot_id": row["outcome_snapshot_id"],
            "network": row["outcome_network"],
        }
    return {
        "run_id": row["run_id"],
        "state": row["state"],
        "request": request,
        "epochs": epochs,
        "outcome": outcome,
    }


def _of_newest_scoring(connection: sa.Connection, table: sa.Table, position: str) -> dict[str, list[Row]]:
    of = table.c
    newest = sa.and_(MODEL.model_version == of.model_version, MODEL.score_request_id == of.request_id)
    query = (
        sa.select(table)
        .select_from(table.join(rpt_models_v1, newest))
        .order_by(table.c.model_version, table.c[position])
    )
    found: dict[str, list[Row]] = {}
    for row in rows(connection, query):
        found.setdefault(row["model_version"], []).append(row)
    return found


def _model(row: Row, scores: dict[str, list[Row]], rules: dict[str, list[Row]]) -> Row:
    version = row["model_version"]
    sets: list[dict[str, Any]] = [
        {"name": score["set_name"]} | {key: score[key] for key in score if key not in NOT_OF_A_SET}
        for score in scores.get(version, [])
    ]
    shown = (
        "state",
        "run_id",
        "base_version",
        "snapshot_id",
        "network",
        "image_size_px",
        "classes",
        "class_count",
        "epochs",
        "best_epoch",
        "threshold",
        "test_accuracy",
        "score_request_id",
        "trained_at",
        "scored_at",
        "exported_at",
    )
    return (
        {"version": version}
        | {name: row[name] for name in shown}
        | {
            "gate": row["gate_verdict"],
            "gate_rules": [
                {"rule": rule["rule"], "passed": rule["is_passed"], "sentence": rule["sentence"]}
                for rule in rules.get(version, [])
            ],
            "best_val_accuracy": row["best_validation_accuracy"],
            "throw_away": row["is_throw_away"],
            "images": {side: row[f"{side}_images"] for side in SIDES},
            "sets": sets,
            "export": {"ordered_by": row["export_ordered_by"], "reason": row["export_reason"]}
            if row["exported_at"]
            else None,
        }
    )
