"""Models, snapshots and taxonomy the evaluator heard of; what it scored and compared, and who is at it."""

from __future__ import annotations

import sqlalchemy as sa

from services.evaluator.review_tables import review_tables
from services.runtime.database import new_metadata

metadata = new_metadata()

model_table = sa.Table(
    "model",
    metadata,
    sa.Column("model_version", sa.Text, primary_key=True),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("trained", sa.JSON, nullable=False),  # the event, for a later evaluation
    sa.Column("trained_at", sa.DateTime(timezone=True), nullable=False),
)

scoring_table = sa.Table(
    "scoring",
    metadata,
    sa.Column("model_version", sa.Text, primary_key=True),
    sa.Column("request_id", sa.Text, primary_key=True),
    sa.Column("verdict", sa.Text, nullable=False),
    sa.Column("report", sa.JSON, nullable=False),
    sa.Column("scores", sa.JSON, nullable=False),
    sa.Column("scored_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("matrix", sa.Text, nullable=True),  # what the scores depend on; None of those made before
    sa.Column("taxonomy_version", sa.Integer, nullable=True),  # None: the model's own classes
)

comparison_table = sa.Table(
    "comparison",
    metadata,
    sa.Column("request_id", sa.Text, primary_key=True),
    sa.Column("compared", sa.JSON, nullable=False),
    sa.Column("compared_at", sa.DateTime(timezone=True), nullable=False),
)

snapshot_table = sa.Table(
    "snapshot",
    metadata,
    sa.Column("snapshot_id", sa.Text, primary_key=True),
    sa.Column("packed", sa.JSON, nullable=False),
)

taxonomy_table = sa.Table(
    "taxonomy_operation",
    metadata,
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("operation", sa.JSON, nullable=False),
)

lease_table = sa.Table(
    "lease",
    metadata,
    sa.Column("work", sa.Text, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("lease_until", sa.DateTime(timezone=True), nullable=False),
)

exported_table = sa.Table(
    "exported_model",
    metadata,
    sa.Column("model_version", sa.Text, primary_key=True),
    sa.Column("request_id", sa.Text, primary_key=True),
    sa.Column("exported_at", sa.DateTime(timezone=True), nullable=False),
)

flags_table = sa.Table(
    "image_flags",
    metadata,
    sa.Column("image_id", sa.Text, primary_key=True),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("flags", sa.JSON, nullable=False),  # names; [] of an image that had some once
)

review_tables(metadata)
