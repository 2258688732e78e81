"""What each part of the overview shows, read in one go per part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from contracts.training import DatasetRules
from services.reporter.domain.figures import bar_shares, chart_of, run_title
from services.reporter.domain.flow import lay_out
from services.reporter.store import bulk, library, models, searches

CLASSES_SHOWN = 16
MODELS_SHOWN = 3
RUNS_SHOWN = 4
SEARCHES_SHOWN = 2
IDENTIFIED_SHOWN = 12
ROWS_SHOWN = 8

Context = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """One section of the page, refreshed by itself every ``every_s``."""

    name: str
    title: str
    every_s: int
    read: Callable[[sa.Connection], Context]


def flow(connection: sa.Connection) -> Context:
    """Images by stage, and the stages after the library."""
    counts = library.flow_counts(connection)
    snapshots = models.snapshots(connection)
    listed = models.model_list(connection)
    runs = bulk.bulk_runs(connection)
    return {
        "counts": counts,
        "diagram": lay_out(counts),
        "figures": bulk.image_figures(counts),
        "snapshots": snapshots,
        "models": listed,
        "bulk": runs[0] if runs else None,
        "identified": bulk.identified_images(connection),
        "in_review": library.pairs_in_review(connection),
    }


def classes(connection: sa.Connection) -> Context:
    """The largest classes with a few of their images."""
    largest = library.classes(connection, CLASSES_SHOWN)
    count = library.class_count(connection)
    shares = bar_shares([row["images"] for row in largest])
    most = max((row["images"] for row in largest), default=0)
    minimum = DatasetRules().minimum_per_class
    return {
        "classes": [row | {"share": share} for row, share in zip(largest, shares, strict=True)],
        "count": count,
        "more": count - len(largest),
        "samples": library.samples(connection, [row["label"] for row in largest]),
        "minimum": minimum,
        "minimum_share": round(minimum / most * 100, 2) if most >= minimum else None,
    }


def model_cards(connection: sa.Connection) -> Context:
    """The newest models with scores and gate."""
    listed = models.model_list(connection)
    return {"models": listed[::-1][:MODELS_SHOWN], "more": max(len(listed) - MODELS_SHOWN, 0)}


def training(connection: sa.Connection) -> Context:
    """The newest runs and their curves, and the newest searches."""
    runs = models.newest_runs(connection, RUNS_SHOWN)
    drawn = [run for run in reversed(runs) if run["epochs"]]
    return {
        "runs": [run | {"title": run_title(run)} for run in runs],
        "searches": searches.searches(connection, SEARCHES_SHOWN),
        "chart": chart_of(drawn),
        "numbers": {run["run_id"]: place for place, run in enumerate(drawn, 1)},
    }


def identified(connection: sa.Connection) -> Context:
    """The newest bulk run, with images of it."""
    runs = bulk.bulk_runs(connection)
    if not runs:
        return {"run": None, "samples": [], "unlabelled": library.flow_counts(connection).of_label(False)}
    shown, _ = bulk.identifications(connection, None, runs[0]["run_id"], IDENTIFIED_SHOWN, None)
    return {"run": runs[0], "samples": shown}


def rejected(connection: sa.Connection) -> Context:
    """Uploads that did not become images."""
    counts = library.flow_counts(connection)
    return {
        "rows": library.newest_rejections(connection, ROWS_SHOWN),
        "count": counts.rejected,
        "uploaded": counts.uploaded,
    }


def dead_letters(connection: sa.Connection) -> Context:
    """Messages that were put aside."""
    shown, following = bulk.dead_letters(connection, ROWS_SHOWN, None)
    return {"rows": shown, "more": following is not None, "open": bulk.open_dead_letters(connection)}


def nothing(_connection: sa.Connection) -> Context:
    """The services are asked over HTTP, not read from the store."""
    return {}


PARTS = {
    part.name: part
    for part in (
        Part("services", "Services", 5, nothing),
        Part("flow", "Flow of images", 3, flow),
        Part("classes", "Classes", 8, classes),
        Part("models", "Models", 6, model_cards),
        Part("training", "Training", 3, training),
        Part("identified", "Identified without a label", 8, identified),
        Part("rejected", "Rejected uploads", 6, rejected),
        Part("dead-letters", "Dead letters", 6, dead_letters),
    )
}
