"""The tables of ingest. Object references are JSON: nothing ever searches inside them."""

from __future__ import annotations

import sqlalchemy as sa

from services.runtime.database import new_metadata

metadata = new_metadata()

TIME = sa.DateTime(timezone=True)

upload = sa.Table(
    "upload",
    metadata,
    sa.Column("upload_id", sa.Text, primary_key=True),
    sa.Column("image_id", sa.Text, nullable=False, index=True),
    sa.Column("object", sa.JSON, nullable=False),
    sa.Column("file_name", sa.Text, nullable=False),
    sa.Column("uploaded_by", sa.Text, nullable=False),
    sa.Column("uploaded_at", TIME, nullable=False),
    sa.Column("upstream_id", sa.Text, index=True),
    # The one outcome; null until it is settled.
    sa.Column("outcome", sa.Text),
    sa.Column("same_as", sa.Text, index=True),
    sa.Column("reject_code", sa.Text),
    sa.Column("detail", sa.Text),
    sa.Column("settled_at", TIME),
)

# An upload that was promised a presigned PUT and is not confirmed yet.
presigned = sa.Table(
    "presigned",
    metadata,
    sa.Column("upload_id", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("meta", sa.JSON, nullable=False),
    sa.Column("expires_at", TIME, nullable=False, index=True),
)

image = sa.Table(
    "image",
    metadata,
    sa.Column("image_id", sa.Text, primary_key=True),
    # Two replicas may decode two copies at once: this decides which one is the repeat.
    sa.Column("pixel_sha256", sa.Text, nullable=False, unique=True),
    sa.Column("upload_id", sa.Text, nullable=False, index=True),
    sa.Column("original", sa.JSON, nullable=False),
    sa.Column("normalised", sa.JSON, nullable=False),
    sa.Column("thumbnail", sa.JSON, nullable=False),
    sa.Column("width_px", sa.Integer),
    sa.Column("height_px", sa.Integer),
    sa.Column("image_format", sa.Text),
    sa.Column("quality", sa.JSON),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("guest", sa.Text, index=True),
    sa.Column("visit", sa.Text, index=True),
    sa.Column("tags", sa.JSON),
    sa.Column("taken_at", TIME),
    sa.Column("accepted_at", TIME, nullable=False),
    sa.Column("label", sa.Text),
    sa.Column("label_kind", sa.Text),
    sa.Column("label_revision", sa.Integer, nullable=False),
    sa.Column("benchmark", sa.Text, index=True),
    sa.Column("benchmark_revision", sa.Integer, nullable=False, server_default="0"),
    sa.Column("verdict", sa.Text),
    sa.Column("group_id", sa.Text),
    sa.Column("duplicate_of", sa.Text),
    sa.Column("verdict_revision", sa.Integer, nullable=False),
    # The shard that holds it, counted from 0; null until a snapshot packs it for the first time.
    sa.Column("shard_number", sa.Integer, index=True),
    sa.Index("ix_image_label", "label", "image_id"),
    sa.Index("ix_image_verdict", "verdict", "image_id"),
)

image_flag = sa.Table(
    "image_flag",
    metadata,
    sa.Column("image_id", sa.Text, primary_key=True),
    sa.Column("flag", sa.Text, primary_key=True),
    sa.Column("value", sa.Double, nullable=False),
    sa.Column("threshold", sa.Double, nullable=False),
    # In the order of pages, so that a page reads its own rows alone; the same for labels and verdicts.
    sa.Index("ix_image_flag_flag", "flag", "image_id"),
)

# The label after the change; null when a first label was undone.
label_change = sa.Table(
    "label_change",
    metadata,
    sa.Column("image_id", sa.Text, primary_key=True),
    sa.Column("revision", sa.Integer, primary_key=True),
    sa.Column("previous_label", sa.Text),
    sa.Column("previous_kind", sa.Text),
    sa.Column("label", sa.Text),
    sa.Column("label_kind", sa.Text),
    sa.Column("changed_by", sa.Text, nullable=False),
    sa.Column("changed_at", TIME, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("suggestion", sa.JSON(none_as_null=True)),
    sa.Column("change_id", sa.Text, index=True),
)

opinion = sa.Table(
    "opinion",
    metadata,
    sa.Column("image_id", sa.Text, primary_key=True),
    sa.Column("revision", sa.Integer, primary_key=True),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("label_kind", sa.Text, nullable=False),
    sa.Column("given_by", sa.Text, nullable=False),
    sa.Column("given_at", TIME, nullable=False),
    sa.Column("reason", sa.Text),
)

double_check = sa.Table(
    "double_check",
    metadata,
    sa.Column("image_id", sa.Text, primary_key=True),
    sa.Column("revision", sa.Integer, primary_key=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("requested_by", sa.Text, nullable=False),
    sa.Column("requested_at", TIME, nullable=False),
    # The split that asked for it: undoing the split closes it again.
    sa.Column("taxonomy_version", sa.Integer),
    sa.Column("verdict", sa.Text),
    sa.Column("verdict_reason", sa.Text),
    sa.Column("checked_by", sa.Text),
    sa.Column("checked_at", TIME),
)

suggestion = sa.Table(
    "suggestion",
    metadata,
    sa.Column("image_id", sa.Text, primary_key=True),
    sa.Column("model_version", sa.Text, nullable=False),
    sa.Column("top", sa.JSON, nullable=False),
    sa.Column("identified_at", TIME, nullable=False),
)

benchmark_change = sa.Table(
    "benchmark_change",
    metadata,
    sa.Column("image_id", sa.Text, primary_key=True),
    sa.Column("revision", sa.Integer, primary_key=True),
    sa.Column("previous_benchmark", sa.Text),
    sa.Column("benchmark", sa.Text),
    sa.Column("changed_by", sa.Text, nullable=False),
    sa.Column("changed_at", TIME, nullable=False),
    sa.Column("reason", sa.Text),
)

taxonomy_operation = sa.Table(
    "taxonomy_operation",
    metadata,
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("operation", sa.JSON, nullable=False),
)

# Requests that changed nothing are kept too: heard again after another change, they must
# not become one.
handled_request = sa.Table(
    "handled_request",
    metadata,
    sa.Column("request_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("outcome", sa.JSON, nullable=False),
    sa.Column("handled_at", TIME, nullable=False),
)

# Shards that stand complete in the store, by a key that follows from their members.
shard = sa.Table(
    "shard",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("images", sa.Integer, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("packed_at", TIME, nullable=False),
)

snapshot = sa.Table(
    "snapshot",
    metadata,
    sa.Column("snapshot_id", sa.Text, primary_key=True),
    sa.Column("manifest", sa.JSON, nullable=False),
    sa.Column("images", sa.Integer, nullable=False),
    sa.Column("labelled", sa.Integer, nullable=False),
    sa.Column("unlabelled", sa.Integer, nullable=False),
    sa.Column("classes", sa.Integer, nullable=False),
    sa.Column("shards", sa.Integer, nullable=False),
    sa.Column("shards_reused", sa.Integer, nullable=False, server_default="0"),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("image_size_px", sa.Integer, nullable=False),
    sa.Column("taxonomy_version", sa.Integer, nullable=False, server_default="0"),
    sa.Column("taxonomy", sa.JSON),
    sa.Column("packed_at", TIME, nullable=False),
)

snapshot_request = sa.Table(
    "snapshot_request",
    metadata,
    sa.Column("request_id", sa.Text, primary_key=True),
    sa.Column("snapshot_id", sa.Text, nullable=False),
    sa.Column("answered_at", TIME, nullable=False),
)
