"""Rounds of double-checks and the images in them, inside the transaction of the caller."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from contracts.commands import RequestDoubleCheck, RequestReview
from contracts.events import DoubleChecked
from contracts.values import DoubleCheckVerdict, ImageId
from services.evaluator.domain.faults import ActionRefused
from services.evaluator.domain.queue.effect import WAITING, Effect
from services.evaluator.review.queues import StoredQueue, aware, figures_of, first_scored_after
from services.evaluator.review_tables import review_tables
from services.evaluator.store import metadata
from services.runtime.database import Unit, upsert

Row = dict[str, Any]
tables = review_tables(metadata)
round_table, item_table, verdict_table = tables.round, tables.item, tables.verdict

MESSAGE_IMAGES = 1000
"""The most that one label.double-check carries (contracts.commands.ImageIds)."""
CHUNK = 500


def is_open(connection: sa.Connection, round_id: str) -> bool:
    """Whether the round was made."""
    query = sa.select(round_table.c.round_id).where(round_table.c.round_id == round_id)
    return connection.execute(query).first() is not None


def open_round(
    unit: Unit, request: RequestReview, queue: StoredQueue, rows: Sequence[Row], at: datetime
) -> None:
    """Keep the round and its images, and ask the library for the double-checks; once."""
    if is_open(unit.connection, request.request_id):
        return
    made = {
        "round_id": request.request_id,
        "model_version": queue.model_version,
        "scoring_id": queue.request_id,
        "class_name": request.class_name,
        "confused_with": request.confused_with,
        "images": len(rows),
        "by": request.by,
        "reason": request.reason,
        "requested_at": at.astimezone(UTC),
    }
    unit.connection.execute(sa.insert(round_table).values(made))
    items = [
        {
            "round_id": request.request_id,
            "position": position,
            "image_id": row["image_id"],
            "label": row["label"],
            "found": row,
            "requested_at": at.astimezone(UTC),
        }
        for position, row in enumerate(rows, start=1)
    ]
    if items:
        unit.connection.execute(sa.insert(item_table), items)
    for asked in _double_checks(request, queue, [row["image_id"] for row in rows], at):
        unit.emit(asked)


def _double_checks(
    request: RequestReview, queue: StoredQueue, image_ids: Sequence[ImageId], at: datetime
) -> Iterable[RequestDoubleCheck]:
    why = f"round {request.request_id} of model {queue.model_version}: {request.reason or 'doubtful labels'}"
    for first in range(0, len(image_ids), MESSAGE_IMAGES):
        # Of the round's own id, so that a repetition is one for the library too.
        made = hashlib.sha256(f"{request.request_id}/{first}".encode()).hexdigest()[:32]
        yield RequestDoubleCheck(
            request_id=made, image_ids=tuple(image_ids[first : first + MESSAGE_IMAGES]), by=request.by,
            reason=why[:2000], requested_at=at,
        )  # fmt: skip


def settled(connection: sa.Connection, rows: Sequence[Row], scored_at: datetime) -> set[ImageId]:
    """Images that nobody needs to look at: in an open round, or done.

    Done is what got a verdict after it was scored, and a label that a person kept, as long as it stands.
    """
    labels = {row["image_id"]: row["label"] for row in rows}
    ids, found = list(labels), set[ImageId]()
    for first in range(0, len(ids), CHUNK):
        part = ids[first : first + CHUNK]
        since = (verdict_table.c.image_id.in_(part), verdict_table.c.checked_at > scored_at.astimezone(UTC))
        found |= set(connection.execute(sa.select(verdict_table.c.image_id).where(*since)).scalars())
        query = sa.select(item_table).where(item_table.c.image_id.in_(part))
        for item in connection.execute(query):
            kept = item.verdict == DoubleCheckVerdict.KEEP and item.label == labels[item.image_id]
            if item.verdict is None or kept:
                found.add(item.image_id)
    return found


def note_verdicts(unit: Unit, checked: Iterable[DoubleChecked]) -> int:
    """Note what people said of images; how many items of rounds that ended.

    A verdict ends what was asked before it and has none yet, so that it may come twice, and late.
    """
    said = list(checked)
    _note_newest(unit, said)
    ended = 0
    for one in said:
        at = one.checked_at.astimezone(UTC)
        statement = (
            sa.update(item_table)
            .where(
                item_table.c.image_id == one.image_id,
                item_table.c.verdict.is_(None),
                item_table.c.requested_at <= at,
            )
            .values(verdict=one.verdict.value, verdict_by=one.by, verdict_reason=one.reason, checked_at=at)
        )
        ended += unit.connection.execute(statement).rowcount
    return ended


def _note_newest(unit: Unit, said: Sequence[DoubleChecked]) -> None:
    newest: dict[ImageId, datetime] = {}
    for one in said:
        newest[one.image_id] = max(newest.get(one.image_id, one.checked_at), one.checked_at)
    # One order of locks for all.
    rows = [
        {"image_id": image_id, "checked_at": newest[image_id].astimezone(UTC)} for image_id in sorted(newest)
    ]
    upsert(
        unit.connection, verdict_table, rows,
        where=lambda excluded: excluded.checked_at > verdict_table.c.checked_at,
    )  # fmt: skip


def listed(connection: sa.Connection, limit: int) -> list[Row]:
    """The newest rounds, newest first, with how many images wait."""
    waiting = (
        sa.select(sa.func.count())
        .where(item_table.c.round_id == round_table.c.round_id, item_table.c.verdict.is_(None))
        .correlate(round_table)
        .scalar_subquery()
    )
    newest = (round_table.c.requested_at.desc(), round_table.c.round_id)
    query = sa.select(round_table, waiting.label(WAITING)).order_by(*newest).limit(limit)
    return [_round(row) for row in connection.execute(query)]


def items(
    connection: sa.Connection, round_id: str, limit: int, after: int, waiting: bool
) -> tuple[list[Row], int | None]:
    """At most ``limit`` images of a round beyond position ``after``, and where to go on; None at the end."""
    query = sa.select(item_table).where(item_table.c.round_id == round_id, item_table.c.position > after)
    if waiting:
        query = query.where(item_table.c.verdict.is_(None))
    rows = list(connection.execute(query.order_by(item_table.c.position).limit(limit + 1)))
    found = [
        row.found
        | {
            "position": row.position,
            "verdict": row.verdict,
            "by": row.verdict_by,
            "reason": row.verdict_reason,
            "checked_at": None if row.checked_at is None else aware(row.checked_at),
        }
        for row in rows[:limit]
    ]
    return found, rows[limit - 1].position if len(rows) > limit else None


def one_round(connection: sa.Connection, round_id: str) -> Row:
    """A round and its effect so far.

    Raises:
        ActionRefused: there is none of that id.
    """
    row = connection.execute(sa.select(round_table).where(round_table.c.round_id == round_id)).first()
    if row is None:
        raise ActionRefused(
            404, f"there is no round {round_id[:80]!r}; `menagerie review-queue rounds` lists them"
        )
    effect = _effect(connection, row)
    return _round(row) | {
        "verdicts": dict(effect.verdicts),
        "changed": effect.changed,
        "before": _scored(effect.before),
        "after": _scored(effect.after),
        "effect": list(effect.sentences()),
    }


def _effect(connection: sa.Connection, row: sa.Row[Any]) -> Effect:
    query = sa.select(item_table.c.verdict, item_table.c.checked_at).where(
        item_table.c.round_id == row.round_id
    )
    said = list(connection.execute(query))
    last = max((aware(one.checked_at) for one in said if one.checked_at is not None), default=None)
    after = None if last is None else first_scored_after(connection, row.model_version, last)
    verdicts = Counter(one.verdict or WAITING for one in said)
    return Effect(row.images, verdicts, figures_of(connection, row.model_version, row.scoring_id), after)


def _round(row: sa.Row[Any]) -> Row:
    return dict(row._mapping) | {"requested_at": aware(row.requested_at)}


def _scored(scored: Any) -> Row | None:
    if scored is None:
        return None
    test = None if scored.test is None else scored.test.model_dump(mode="json")
    return {"model_version": scored.model_version, "test": test}
