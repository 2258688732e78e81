"""The trainer's tables."""

from __future__ import annotations

import sqlalchemy as sa

from services.runtime.database import new_metadata

metadata = new_metadata()

snapshot_table = sa.Table(
    "snapshot",
    metadata,
    sa.Column("snapshot_id", sa.Text, primary_key=True),
    sa.Column("packed", sa.JSON, nullable=False),  # the event
)

run_table = sa.Table(
    "run",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("base_version", sa.Text),  # decided once: a rerun starts from the same model
    sa.Column("deaths", sa.Integer, nullable=False),
    sa.Column("request", sa.JSON, nullable=False),  # the command
    sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("ended_at", sa.DateTime(timezone=True)),
    # Who works on it, until when by the database's clock; taken over by another after that.
    sa.Column("owner", sa.Text),
    sa.Column("lease_until", sa.DateTime(timezone=True)),
    sa.Column("epochs", sa.Integer, nullable=False, server_default="0"),  # whole ones, told so far
    # Checkpoints written so far, and when its last child died: a death after progress is the first.
    sa.Column("checkpoints", sa.Integer, nullable=False, server_default="0"),
    sa.Column("checkpoints_at_death", sa.Integer, nullable=False, server_default="0"),
)

stop_table = sa.Table(
    "stop",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True),  # of a run that may not have begun
    sa.Column("kind", sa.Text, nullable=False),  # StopKind
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
)

model_table = sa.Table(
    "model",
    metadata,
    sa.Column("model_version", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False, unique=True),
    sa.Column("run_id", sa.Text, nullable=False, unique=True),
    sa.Column("base_version", sa.Text),
    sa.Column("throw_away", sa.Boolean, nullable=False),
    sa.Column("trained", sa.JSON, nullable=False),  # the event
    sa.Column("report", sa.JSON),  # reference of the newest evaluation report
    sa.Column("scored_at", sa.DateTime(timezone=True)),
    # Who writes the files of its export, until when by the database's clock.
    sa.Column("exporter", sa.Text),
    sa.Column("exporter_until", sa.DateTime(timezone=True)),
)

counter_table = sa.Table(
    "counter",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Integer, nullable=False),
)

export_table = sa.Table(
    "export",
    metadata,
    sa.Column("model_version", sa.Text, primary_key=True),
    sa.Column("request_id", sa.Text, primary_key=True),
    sa.Column("exported", sa.JSON, nullable=False),  # the event
    sa.Column("exported_at", sa.DateTime(timezone=True), nullable=False),
)

compression_table = sa.Table(
    "compression",
    metadata,
    sa.Column("model_version", sa.Text, primary_key=True),
    sa.Column("request_id", sa.Text, primary_key=True),
    sa.Column("compressed", sa.JSON, nullable=False),  # the event
    sa.Column("compressed_at", sa.DateTime(timezone=True), nullable=False),
)

search_table = sa.Table(
    "search",
    metadata,
    sa.Column("search_id", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("request", sa.JSON, nullable=False),  # the command
    sa.Column("base", sa.Text, nullable=False),  # decided once: all trials start from the same model
    sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("ended_at", sa.DateTime(timezone=True)),
)

trial_table = sa.Table(
    "trial",
    metadata,
    sa.Column("search_id", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("run_id", sa.Text, nullable=False, unique=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("chosen", sa.JSON, nullable=False),  # option -> value
    sa.Column("steps", sa.JSON, nullable=False),  # epoch -> validation accuracy
    sa.Column("outcome", sa.JSON),  # the event that ended it
    sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("ended_at", sa.DateTime(timezone=True)),
)
