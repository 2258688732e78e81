"""Which scorings have a queue, and what their models did on test."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

import sqlalchemy as sa

from contracts.events import ModelScored, SetScore
from contracts.values import ModelVersion, ObjectRef, Side
from services.evaluator.domain.faults import ActionRefused
from services.evaluator.domain.queue.effect import Scored
from services.evaluator.review_tables import review_tables
from services.evaluator.store import metadata
from services.runtime.database import Unit

table = review_tables(metadata).queue
VERSIONS_NAMED = 5


class StoredQueue(NamedTuple):
    """The queue of one scoring."""

    model_version: ModelVersion
    request_id: str
    file: ObjectRef
    scored_at: datetime


def record_queue(unit: Unit, scored: ModelScored) -> None:
    """Remember where the queue of a scoring lies, in the transaction that records the scoring."""
    test = next((one for one in scored.sets if one.name == Side.TEST.value), None)
    row = {
        "model_version": scored.model_version,
        "request_id": scored.request_id,
        "file": sa.null() if scored.queue is None else scored.queue.model_dump(mode="json"),
        "test": sa.null() if test is None else test.model_dump(mode="json"),
        "throw_away": scored.throw_away,
        "scored_at": scored.scored_at.astimezone(UTC),
    }
    where = (table.c.model_version == scored.model_version, table.c.request_id == scored.request_id)
    if unit.connection.execute(sa.select(table.c.request_id).where(*where)).first() is None:
        unit.connection.execute(sa.insert(table).values(row))


def newest_queue(connection: sa.Connection, model_version: ModelVersion | None = None) -> StoredQueue:
    """The queue of the model's newest scoring, or of the newest of all.

    Raises:
        ActionRefused: there is none; names the models that have one.
    """
    # A JSON null is told from a missing one only by what wrote it; record_queue writes SQL's.
    query = sa.select(table).where(table.c.file.isnot(sa.null())).order_by(table.c.scored_at.desc())
    chosen = query if model_version is None else query.where(table.c.model_version == model_version)
    row = connection.execute(chosen.limit(1)).first()
    if row is None:
        newest = connection.execute(query.limit(VERSIONS_NAMED))
        names = ", ".join(dict.fromkeys(one.model_version for one in newest)) or "none yet"
        raise ActionRefused(
            404, f"model {model_version or 'newest'} has no queue; models with one: {names}. "
            "Score a model by `menagerie evaluate`",
        )  # fmt: skip
    return StoredQueue(
        row.model_version, row.request_id, ObjectRef.model_validate(row.file), aware(row.scored_at)
    )


def figures_of(connection: sa.Connection, model_version: ModelVersion, request_id: str) -> Scored:
    """What that scoring said of the test set."""
    query = sa.select(table.c.test).where(
        table.c.model_version == model_version, table.c.request_id == request_id
    )
    return Scored(model_version, _test(connection.execute(query).scalar_one_or_none()))


def first_scored_after(
    connection: sa.Connection, model_version: ModelVersion, moment: datetime
) -> Scored | None:
    """The first newer model whose first scoring came after ``moment``; throw-away models are none."""
    first = (
        sa.select(table.c.model_version, sa.func.min(table.c.scored_at).label("at"))
        .where(table.c.throw_away.is_(False), sa.cast(table.c.model_version, sa.Integer) > int(model_version))
        .group_by(table.c.model_version)
        .subquery()
    )
    query = (
        sa.select(table.c.model_version, table.c.test)
        .join(first, (first.c.model_version == table.c.model_version) & (first.c.at == table.c.scored_at))
        .where(table.c.scored_at > moment.astimezone(UTC))
        .order_by(table.c.scored_at, table.c.model_version)
        .limit(1)
    )
    row = connection.execute(query).first()
    return None if row is None else Scored(row.model_version, _test(row.test))


def aware(moment: datetime) -> datetime:
    """SQLite keeps no time zone; what was stored is UTC."""
    return moment.replace(tzinfo=moment.tzinfo or UTC)


def _test(stored: object) -> SetScore | None:
    return None if stored is None else SetScore.model_validate(stored)
