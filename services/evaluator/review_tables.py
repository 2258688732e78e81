"""Tables of what people decide here: confused pairs, and rounds of double-checks."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa


class ReviewTables(NamedTuple):
    """The tables, by what they hold."""

    confused_change: sa.Table
    queue: sa.Table
    round: sa.Table
    item: sa.Table
    verdict: sa.Table
    handled: sa.Table


def review_tables(metadata: sa.MetaData) -> ReviewTables:
    """The tables of ``metadata``; the first call adds them."""
    if "review_round" in metadata.tables:
        names = (
            "confused_change",
            "review_queue",
            "review_round",
            "review_item",
            "review_verdict",
            "review_request",
        )
        return ReviewTables(*(metadata.tables[name] for name in names))
    made = (_confused_change, _queue, _round, _item, _verdict, _handled)
    return ReviewTables(*(table(metadata) for table in made))


def _confused_change(metadata: sa.MetaData) -> sa.Table:
    """One row a version of the table of confused pairs; a table of some version is those up to it."""
    return sa.Table(
        "confused_change",
        metadata,
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("one", sa.Text, nullable=False),
        sa.Column("other", sa.Text, nullable=False),
        sa.Column("weight", sa.Float),  # NULL: off the table
        sa.Column("previous_weight", sa.Float),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
    )


def _queue(metadata: sa.MetaData) -> sa.Table:
    """Where the queue of a scoring lies, and what the model did on its test set."""
    return sa.Table(
        "review_queue",
        metadata,
        sa.Column("model_version", sa.Text, primary_key=True),
        sa.Column("request_id", sa.Text, primary_key=True),
        sa.Column("file", sa.JSON),  # NULL: scored before there were queues
        sa.Column("test", sa.JSON),
        sa.Column("throw_away", sa.Boolean, nullable=False),
        sa.Column("scored_at", sa.DateTime(timezone=True), nullable=False),
    )


def _round(metadata: sa.MetaData) -> sa.Table:
    return sa.Table(
        "review_round",
        metadata,
        sa.Column("round_id", sa.Text, primary_key=True),
        sa.Column("model_version", sa.Text, nullable=False),
        sa.Column("scoring_id", sa.Text, nullable=False),  # request_id of its queue
        sa.Column("class_name", sa.Text),
        sa.Column("confused_with", sa.Text),
        sa.Column("images", sa.Integer, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False, index=True),
    )


def _item(metadata: sa.MetaData) -> sa.Table:
    """An image of a round, as the queue described it, and what came of it."""
    return sa.Table(
        "review_item",
        metadata,
        sa.Column("round_id", sa.Text, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("image_id", sa.Text, nullable=False, index=True),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("found", sa.JSON, nullable=False),  # the queue's row
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("verdict", sa.Text),
        sa.Column("verdict_by", sa.Text),
        sa.Column("verdict_reason", sa.Text),
        sa.Column("checked_at", sa.DateTime(timezone=True)),
    )


def _verdict(metadata: sa.MetaData) -> sa.Table:
    """When somebody last said something of an image's label, in a round or outside."""
    return sa.Table(
        "review_verdict",
        metadata,
        sa.Column("image_id", sa.Text, primary_key=True),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
    )


def _handled(metadata: sa.MetaData) -> sa.Table:
    """Requests that were done; one that is repeated is told the same again."""
    return sa.Table(
        "review_request",
        metadata,
        sa.Column("request_id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("outcome", sa.JSON, nullable=False),
        sa.Column("handled_at", sa.DateTime(timezone=True), nullable=False),
    )
