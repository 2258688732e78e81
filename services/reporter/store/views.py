"""Versioned views that dashboards may rely on; a breaking change is a ``_v2`` beside the ``_v1``.

They live in a MetaData of their own: in the tables' one, autogenerate would create tables for them.
The migration drops and creates them (SQLite has no CREATE OR REPLACE VIEW).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from services.reporter.store.tables import (
    dim_duplicate_pairs,
    dim_images,
    dim_models,
    fct_bulk_runs,
    fct_dead_letters,
    fct_double_checks,
    fct_identifications,
    fct_image_flags,
    fct_label_changes,
    fct_model_variants,
    fct_opinions,
    fct_searches,
    fct_train_runs,
    fct_uploads,
)

views = sa.MetaData()

images = dim_images.c
pairs = dim_duplicate_pairs.c
uploads = fct_uploads.c
models = dim_models.c
letters = fct_dead_letters.c
found = fct_identifications.c
runs = fct_train_runs.c

BULKY = {"headers", "body_base64"}


def _plain(table: sa.Table, *left_out: str) -> list[sa.ColumnElement[Any]]:
    return [
        column for column in table.c if column.name not in left_out and not column.name.endswith("event_seq")
    ]


def _count(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.coalesce(sa.func.sum(sa.case((condition, 1), else_=0)), 0)


is_open = sa.and_(
    letters.stored_event_seq.is_not(None),
    letters.stored_event_seq > sa.func.coalesce(letters.replayed_event_seq, 0),
)

rpt_images_v1 = sa.CreateView(
    sa.select(
        *_plain(dim_images),
        images.label.is_not(None).label("is_labelled"),
        (sa.func.coalesce(images.verdict, "") == "near").label("is_near_duplicate"),
    ).where(images.accepted_at.is_not(None)),
    "rpt_images_v1",
    metadata=views,
).table

rpt_uploads_v1 = sa.CreateView(
    sa.select(
        *_plain(fct_uploads, "file_name", "outcome", "outcome_file_name"),
        sa.func.coalesce(uploads.file_name, uploads.outcome_file_name).label("file_name"),
        sa.func.coalesce(uploads.outcome, "waiting").label("state"),
    ),
    "rpt_uploads_v1",
    metadata=views,
).table

rpt_classes_v1 = sa.CreateView(
    sa.select(
        images.label,
        sa.func.max(images.label_kind).label("label_kind"),
        sa.func.count().label("images"),
        _count(images.verdict == "unique").label("unique_images"),
        _count(images.verdict == "near").label("near_duplicates"),
        _count(images.verdict == "burst").label("burst_images"),
        _count(images.source == "real").label("real_images"),
        _count(images.source == "staged").label("staged_images"),
        _count(images.source == "synthetic").label("synthetic_images"),
        _count(images.benchmark.is_not(None)).label("benchmark_images"),
        sa.func.max(images.labelled_at).label("last_labelled_at"),
    )
    .where(images.accepted_at.is_not(None), images.label.is_not(None))
    .group_by(images.label),
    "rpt_classes_v1",
    metadata=views,
).table

rpt_duplicate_pairs_v1 = sa.CreateView(
    sa.select(*_plain(dim_duplicate_pairs), (pairs.state == "review").label("is_open")),
    "rpt_duplicate_pairs_v1",
    metadata=views,
).table

rpt_image_flags_v1 = sa.CreateView(
    sa.select(*_plain(fct_image_flags)).select_from(
        fct_image_flags.join(
            dim_images,
            sa.and_(
                images.image_id == fct_image_flags.c.image_id,
                images.flag_revision == fct_image_flags.c.revision,
            ),
        )
    ),
    "rpt_image_flags_v1",
    metadata=views,
).table

rpt_label_changes_v1 = sa.CreateView(
    sa.select(
        *_plain(fct_label_changes, "suggestion"),
        (fct_label_changes.c.label == fct_label_changes.c.suggested_label).label("is_as_suggested"),
    ),
    "rpt_label_changes_v1",
    metadata=views,
).table

rpt_opinions_v1 = sa.CreateView(sa.select(*_plain(fct_opinions)), "rpt_opinions_v1", metadata=views).table

rpt_double_checks_v1 = sa.CreateView(
    sa.select(
        *_plain(fct_double_checks),
        fct_double_checks.c.checked_at.is_(None).label("is_open"),
    ).where(fct_double_checks.c.requested_at.is_not(None)),
    "rpt_double_checks_v1",
    metadata=views,
).table

rpt_models_v1 = sa.CreateView(
    sa.select(
        *_plain(dim_models),
        sa.case(
            (models.exported_at.is_not(None), "exported"),
            (models.scored_at.is_not(None), "scored"),
            else_="trained",
        ).label("state"),
    ),
    "rpt_models_v1",
    metadata=views,
).table

rpt_train_runs_v1 = sa.CreateView(
    sa.select(*_plain(fct_train_runs), sa.func.coalesce(runs.outcome, "running").label("state")),
    "rpt_train_runs_v1",
    metadata=views,
).table

# A search that could not start, or was cancelled, is told as a run of its own id is.
rpt_searches_v1 = sa.CreateView(
    sa.select(
        *_plain(fct_searches),
        runs.error,
        runs.remedy,
        runs.cancelled_by,
        runs.cancel_reason,
        sa.case(
            (runs.outcome == "failed", "failed"),
            (sa.and_(runs.outcome == "cancelled", fct_searches.c.completed_at.is_(None)), "stopping"),
            (runs.outcome == "cancelled", "cancelled"),
            (fct_searches.c.completed_at.is_not(None), "completed"),
            else_="running",
        ).label("state"),
    ).select_from(fct_searches.outerjoin(fct_train_runs, runs.run_id == fct_searches.c.search_id)),
    "rpt_searches_v1",
    metadata=views,
).table

rpt_model_variants_v1 = sa.CreateView(
    sa.select(*_plain(fct_model_variants)), "rpt_model_variants_v1", metadata=views
).table

rpt_identifications_v1 = sa.CreateView(
    sa.select(
        *_plain(fct_identifications),
        fct_bulk_runs.c.threshold,
        (found.confidence >= fct_bulk_runs.c.threshold).label("is_above_threshold"),
        images.label.label("assigned_label"),
    ).select_from(
        fct_identifications.outerjoin(fct_bulk_runs, fct_bulk_runs.c.run_id == found.run_id).outerjoin(
            dim_images, images.image_id == found.image_id
        )
    ),
    "rpt_identifications_v1",
    metadata=views,
).table

rpt_dead_letters_v1 = sa.CreateView(
    sa.select(*_plain(fct_dead_letters, *BULKY), is_open.label("is_open")).where(
        letters.stored_event_seq.is_not(None)
    ),
    "rpt_dead_letters_v1",
    metadata=views,
).table

CREATED: Sequence[sa.Table] = tuple(views.sorted_tables)


def create_views(connection: sa.Connection) -> None:
    """Replace every view by the definition above; used by the migration and by tests."""
    drop_views(connection)
    views.create_all(connection)


def drop_views(connection: sa.Connection) -> None:
    """Drop the views; tables can change only without them."""
    for table in reversed(CREATED):
        connection.execute(sa.text(f'DROP VIEW IF EXISTS "{table.name}"'))
