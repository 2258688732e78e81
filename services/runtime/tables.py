"""The runtime's own tables, part of every service's metadata."""

from __future__ import annotations

import sqlalchemy as sa


def outbox_table(metadata: sa.MetaData) -> sa.Table:
    """Messages of committed transactions that the broker has not confirmed yet."""
    if "outbox" in metadata.tables:
        return metadata.tables["outbox"]
    return sa.Table(
        "outbox",
        metadata,
        # SQLite counts up by itself only for a plain INTEGER key.
        sa.Column("outbox_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("message_id", sa.Text, nullable=False, unique=True),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("stream", sa.Text, nullable=False),
        sa.Column("headers", sa.JSON, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("refers_to_objects", sa.Boolean, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )


def attempt_table(metadata: sa.MetaData) -> sa.Table:
    """Attempts on messages that did not succeed at once; survives the death of the process.

    The broker's own delivery count will not do: it also grows for the neighbours of a message
    that kills the process.
    """
    if "attempt" in metadata.tables:
        return metadata.tables["attempt"]
    return sa.Table(
        "attempt",
        metadata,
        sa.Column("durable", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True),
        sa.Column("attempts", sa.Integer, nullable=False),
    )
