"""Bulkid's tables."""

from __future__ import annotations

import sqlalchemy as sa

from services.runtime.database import new_metadata

metadata = new_metadata()

snapshot_table = sa.Table(
    "snapshot",
    metadata,
    sa.Column("snapshot_id", sa.Text, primary_key=True),
    sa.Column("packed", sa.JSON, nullable=False),  # the event
    sa.Column("packed_at", sa.DateTime(timezone=True), nullable=False),
)

model_table = sa.Table(
    "model",
    metadata,
    sa.Column("model_version", sa.Text, primary_key=True),
    sa.Column("exported", sa.JSON, nullable=False),  # the event
    sa.Column("exported_at", sa.DateTime(timezone=True), nullable=False),
)

run_table = sa.Table(
    "run",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("model_version", sa.Text, nullable=False),
    sa.Column("snapshot_id", sa.Text, nullable=False),
    sa.Column("threshold_percent", sa.Float, nullable=False),
    sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
)

page_table = sa.Table(
    "page",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("page", sa.Integer, primary_key=True),
    sa.Column("identified", sa.Integer, nullable=False),
    sa.Column("above_threshold", sa.Integer, nullable=False),
)

vector_run_table = sa.Table(
    "vector_run",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("request_id", sa.Text, nullable=False),
    sa.Column("encoder", sa.Text, nullable=False),
    sa.Column("model_version", sa.Text, nullable=True),  # None: the pretrained backbone
    sa.Column("snapshot_id", sa.Text, nullable=False),
    sa.Column("dimensions", sa.Integer, nullable=True),  # known, as the next, when it is completed
    sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
)

vector_table = sa.Table(
    "vector",
    metadata,
    sa.Column("encoder", sa.Text, primary_key=True),
    sa.Column("image_id", sa.Text, primary_key=True),
    sa.Column("run_id", sa.Text, nullable=False, index=True),
)
