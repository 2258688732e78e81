"""Questions about identifications and dead letters, and the summary of all."""

from __future__ import annotations

import sqlalchemy as sa

from services.reporter.domain.flow import FlowCounts
from services.reporter.store.library import flow_counts, pairs_in_review
from services.reporter.store.models import model_list, snapshots, training
from services.reporter.store.reading import Row, first, page, rows
from services.reporter.store.tables import fct_bulk_runs, fct_dead_letters, fct_identifications
from services.reporter.store.views import rpt_dead_letters_v1, rpt_identifications_v1

FOUND = rpt_identifications_v1.c
LETTER = rpt_dead_letters_v1.c


def identifications(
    connection: sa.Connection, model_version: str | None, run_id: str | None, limit: int, after: str | None
) -> tuple[list[Row], str | None]:
    """Identifications in the order of image ids; a model that ran twice has two of an image."""
    query = sa.select(
        FOUND.run_id,
        FOUND.image_id,
        FOUND.model_version,
        FOUND.label,
        FOUND.confidence,
        FOUND.candidates.label("top"),
        FOUND.threshold,
        FOUND.is_above_threshold,
        FOUND.assigned_label,
        FOUND.identified_at,
    )
    if model_version is not None:
        query = query.where(FOUND.model_version == model_version)
    if run_id is not None:
        query = query.where(FOUND.run_id == run_id)
    return page(connection, query, FOUND.image_id, FOUND.run_id, limit=limit, after=after)


def bulk_run(connection: sa.Connection, run_id: str) -> Row | None:
    """A bulk run, finished or under way; None when nobody heard of it."""
    return next(iter(_bulk_runs(connection, run_id)), None)


def bulk_runs(connection: sa.Connection) -> list[Row]:
    """Bulk runs, the newest first."""
    return _bulk_runs(connection, None)


def dead_letters(connection: sa.Connection, limit: int, after: str | None) -> tuple[list[Row], str | None]:
    """Dead letters without their bodies, newest first."""
    return page(
        connection,
        sa.select(rpt_dead_letters_v1),
        LETTER.stored_at,
        LETTER.dead_letter_id,
        limit=limit,
        after=after,
        descending=True,
    )


def dead_letter(connection: sa.Connection, dead_letter_id: str) -> Row | None:
    """One dead letter with headers and body."""
    shown = first(connection, sa.select(rpt_dead_letters_v1).where(LETTER.dead_letter_id == dead_letter_id))
    if shown is None:
        return None
    bulky = sa.select(fct_dead_letters.c.headers, fct_dead_letters.c.body_base64)
    return shown | (first(connection, bulky.where(fct_dead_letters.c.dead_letter_id == dead_letter_id)) or {})


def open_dead_letters(connection: sa.Connection) -> int:
    """Dead letters that nobody replayed since."""
    query = sa.select(sa.func.count()).select_from(rpt_dead_letters_v1).where(LETTER.is_open)
    return connection.scalar(query) or 0


def identified_images(connection: sa.Connection) -> int:
    """Images that any model identified."""
    return connection.scalar(sa.select(sa.func.count(sa.distinct(fct_identifications.c.image_id)))) or 0


def summary(connection: sa.Connection) -> Row:
    """The figures of ``menagerie status``."""
    models = model_list(connection)
    shown = (
        "version",
        "state",
        "test_accuracy",
        "gate",
        "base_version",
        "network",
        "class_count",
        "epochs",
        "best_epoch",
        "best_val_accuracy",
        "throw_away",
        "run_id",
        "trained_at",
    )
    return {
        "images": image_figures(flow_counts(connection)) | {"pairs_in_review": pairs_in_review(connection)},
        "snapshots": snapshots(connection),
        "models": [{name: model[name] for name in shown} for model in models],
        "training": training(connection),
        "bulk": {"identified": identified_images(connection), "runs": bulk_runs(connection)},
        "dead_letters": open_dead_letters(connection),
    }


def image_figures(counts: FlowCounts) -> dict[str, int]:
    """Uploads by outcome and accepted images by state."""
    return {
        "uploaded": counts.uploaded,
        "accepted": counts.accepted,
        "rejected": counts.rejected,
        "exact_duplicates": counts.repeated,
        "in_progress": counts.waiting,
        "near_duplicates": counts.of_verdict("near"),
        "bursts": counts.of_verdict("burst"),
        "unique": counts.of_verdict("unique"),
        "labelled": counts.of_label(True),
        "unlabelled": counts.of_label(False),
    }


def _bulk_runs(connection: sa.Connection, run_id: str | None) -> list[Row]:
    of = fct_identifications.c
    pages = sa.select(
        of.run_id,
        sa.func.max(of.model_version).label("model_version"),
        sa.func.count().label("identified"),
        sa.func.max(of.identified_at).label("identified_at"),
    ).group_by(of.run_id)
    ended = sa.select(*(column for column in fct_bulk_runs.c if column.name != "event_seq"))
    if run_id is not None:
        pages = pages.where(of.run_id == run_id)
        ended = ended.where(fct_bulk_runs.c.run_id == run_id)
    blank = dict.fromkeys(("snapshot_id", "above_threshold", "threshold", "completed_at"))
    found = {row["run_id"]: blank | row | {"state": "running"} for row in rows(connection, pages)}
    for row in rows(connection, ended):
        heard = found.get(row["run_id"], {"identified": 0, "identified_at": None})
        found[row["run_id"]] = row | {
            "state": "completed",
            "identified_at": heard["identified_at"],
            "heard": heard["identified"],
        }
    return sorted(found.values(), key=_moment, reverse=True)


def _moment(run: Row) -> tuple[str, str]:
    when = run.get("completed_at") or run.get("identified_at")
    return (when.isoformat() if when else "", run["run_id"])
