"""The tables of ingest. Object references are JSON: nothing ever searches inside them."""

from __future__ import annotations

import sqlalchemy as sa

from services.runtime.database import new_metadata

metadata = new_metadata()

upload = sa.Table(
    "upload",
    metadata,
    sa.Column("upload_id", sa.Text, primary_key=True),
    sa.Column("image_id", sa.Text, nullable=False, index=True),
    sa.Column("object", sa.JSON, nullable=False),
    sa.Column("file_name", sa.Text, nullable=False),
    sa.Column("uploaded_by", sa.Text, nullable=False),
    sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False),
    # The one outcome; null until it is settled.
    sa.Column("outcome", sa.Text),
    sa.Column("same_as", sa.Text),
    sa.Column("reject_code", sa.Text),
    sa.Column("detail", sa.Text),
    sa.Column("settled_at", sa.DateTime(timezone=True)),
)

image = sa.Table(
    "image",
    metadata,
    sa.Column("image_id", sa.Text, primary_key=True),
    # Two replicas may decode two copies at once: this decides which one is the repeat.
    sa.Column("pixel_sha256", sa.Text, nullable=False, unique=True),
    sa.Column("upload_id", sa.Text, nullable=False),
    sa.Column("original", sa.JSON, nullable=False),
    sa.Column("normalised", sa.JSON, nullable=False),
    sa.Column("thumbnail", sa.JSON, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("guest", sa.Text),
    sa.Column("benchmark", sa.Text),
    sa.Column("taken_at", sa.DateTime(timezone=True)),
    sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("label", sa.Text),
    sa.Column("label_kind", sa.Text),
    sa.Column("label_revision", sa.Integer, nullable=False),
    sa.Column("verdict", sa.Text),
    sa.Column("group_id", sa.Text),
    sa.Column("duplicate_of", sa.Text),
    sa.Column("verdict_revision", sa.Integer, nullable=False),
)

label_change = sa.Table(
    "label_change",
    metadata,
    sa.Column("image_id", sa.Text, primary_key=True),
    sa.Column("revision", sa.Integer, primary_key=True),
    sa.Column("previous_label", sa.Text),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("label_kind", sa.Text, nullable=False),
    sa.Column("changed_by", sa.Text, nullable=False),
    sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("reason", sa.Text),
)

# Requests that changed nothing are kept too: heard again after another change, they must
# not become one.
label_request = sa.Table(
    "label_request",
    metadata,
    sa.Column("request_id", sa.Text, primary_key=True),
    sa.Column("image_id", sa.Text, nullable=False),
    sa.Column("handled_at", sa.DateTime(timezone=True), nullable=False),
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
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("image_size_px", sa.Integer, nullable=False),
    sa.Column("packed_at", sa.DateTime(timezone=True), nullable=False),
)

snapshot_request = sa.Table(
    "snapshot_request",
    metadata,
    sa.Column("request_id", sa.Text, primary_key=True),
    sa.Column("snapshot_id", sa.Text, nullable=False),
    sa.Column("answered_at", sa.DateTime(timezone=True), nullable=False),
)
