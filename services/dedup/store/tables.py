"""The tables of dedup. Hashes, labels and people's words are known; verdicts and pairs follow from them."""

from __future__ import annotations

import sqlalchemy as sa

from services.dedup.domain.groups import NOT_KEPT
from services.runtime.database import new_metadata

metadata = new_metadata()

fingerprint = sa.Table(
    "fingerprint",
    metadata,
    sa.Column("image_id", sa.Text, primary_key=True),
    # Order of arrival; never changes. What the index calls the image.
    sa.Column("position", sa.Integer, nullable=False, unique=True),
    # Number of the last change to the row that the index has to know of; counts up over the whole table.
    # Unique, so a second writer that searched without the newest rows cannot commit.
    sa.Column("change", sa.Integer, nullable=False, unique=True),
    sa.Column("rank", sa.Text, nullable=False),  # the upload_id
    # Steps from the top of the images that people kept over others (domain/keeping.py).
    sa.Column("tier", sa.Integer, nullable=False, server_default=str(NOT_KEPT)),
    sa.Column("hash", sa.LargeBinary),  # NULL: nothing to compare
    sa.Column("hash64", sa.LargeBinary),
    sa.Column("turned", sa.LargeBinary),  # NULL beside a hash: fingerprinted before they were kept
    sa.Column("detail", sa.Double),
    sa.Column("sketch", sa.LargeBinary),
    sa.Column("detector", sa.Text, nullable=False),
    sa.Column("guest", sa.Text),
    sa.Column("visit", sa.Text),
    sa.Column("taken_at", sa.DateTime(timezone=True)),
    sa.Column("width_px", sa.Integer),
    sa.Column("height_px", sa.Integer),
    sa.Column("smoothness", sa.Double),  # ingest's measure of blur: the lower the sharper
    sa.Column("removed", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Index("ix_fingerprint_ranked", "tier", "rank", "image_id"),
)

# What the index holds, countable without reading the rows.
sa.Index(
    "ix_fingerprint_searched",
    fingerprint.c.removed,
    sqlite_where=fingerprint.c.hash.is_not(None),
    postgresql_where=fingerprint.c.hash.is_not(None),
)

label = sa.Table(
    "label",
    metadata,
    # May be there before the image: labels travel on a durable of their own.
    sa.Column("image_id", sa.Text, primary_key=True),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("label", sa.Text),
    sa.Column("kind", sa.Text),
)

verdict = sa.Table(
    "verdict",
    metadata,
    sa.Column("image_id", sa.Text, primary_key=True),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("verdict", sa.Text, nullable=False),
    sa.Column("group_id", sa.Text, nullable=False, index=True),
    sa.Column("duplicate_of", sa.Text),
    sa.Column("distance_bits", sa.Integer),
    sa.Column("orientation", sa.Text, nullable=False, server_default="same"),
    sa.Column("by", sa.Text),
)

pair = sa.Table(
    "pair",
    metadata,
    sa.Column("image_id", sa.Text, primary_key=True),  # sorts before other_id
    sa.Column("other_id", sa.Text, primary_key=True, index=True),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("distance_bits", sa.Integer),  # NULL: one of the two has no hash
    sa.Column("orientation", sa.Text, nullable=False),  # of image_id, to look like other_id
    sa.Column("similarity", sa.Double),
    sa.Column("detector", sa.Text, nullable=False),
    sa.Column("suggested_keep", sa.Text, nullable=False),
    sa.Column("keep", sa.Text),
    sa.Column("by", sa.Text),
    sa.Column("reason", sa.Text),
    sa.Column("request_id", sa.Text),
    sa.Column("judged_at", sa.DateTime(timezone=True), nullable=False),
    # What the state follows from, besides the two images and people's words:
    sa.Column("listed", sa.Boolean, nullable=False),  # among the nearest of the one of higher rank
    sa.Column("proposed", sa.Text),  # state that similarity vectors propose
    sa.Index("ix_pair_state", "state", "distance_bits", "image_id", "other_id"),
)

resolution = sa.Table(
    "resolution",
    metadata,
    sa.Column("request_id", sa.Text, primary_key=True),
    sa.Column("image_id", sa.Text, nullable=False),  # sorts before other_id
    sa.Column("other_id", sa.Text, nullable=False, index=True),
    sa.Column("keep", sa.Text),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("undone_by", sa.Text),  # request_id of the duplicate.undo
    sa.Index("ix_resolution_pair", "image_id", "other_id"),
)

handled_request = sa.Table(
    "handled_request",
    metadata,
    sa.Column("request_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("outcome", sa.JSON, nullable=False),
    sa.Column("handled_at", sa.DateTime(timezone=True), nullable=False),
)

calibration = sa.Table(
    "calibration",
    metadata,
    # By which limits the verdicts were made.
    sa.Column("detector", sa.Text, primary_key=True),
    sa.Column("max_distance_bits", sa.Integer, nullable=False),
    sa.Column("limits", sa.JSON(none_as_null=True)),  # NULL: made by the release that had only a distance
    # Tells a HashLog of this database from one of another.
    sa.Column("library", sa.Text),
    # While all images are judged anew: the last [tier, upload_id, image_id] that is done; NULL: all are.
    sa.Column("judged", sa.JSON(none_as_null=True)),
)

vector_file = sa.Table(
    "vector_file",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False, unique=True),  # each is compared with those before it
    sa.Column("encoder", sa.Text, nullable=False),
    sa.Column("images", sa.Integer, nullable=False),
    sa.Column("dimensions", sa.Integer, nullable=False),
    sa.Column("computed_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("bucket", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("compared", sa.Boolean, nullable=False),  # its pairs are proposed
)

threshold = sa.Table(
    "threshold",
    metadata,
    sa.Column("detector", sa.Text, primary_key=True),
    sa.Column("class_name", sa.Text, primary_key=True),  # empty: all classes
    sa.Column("automatic", sa.Double),  # NULL: nothing is
    sa.Column("review", sa.Double, nullable=False),
    sa.Column("precision", sa.Double),
    sa.Column("recall", sa.Double),
    sa.Column("duplicates", sa.Integer, nullable=False),
    sa.Column("not_duplicates", sa.Integer, nullable=False),
    sa.Column("learnt", sa.Boolean, nullable=False),
    sa.Column("out_of_sample", sa.Boolean, nullable=False),
)
