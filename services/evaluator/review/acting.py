"""What people ask of the evaluator, for messages and HTTP alike; and the verdicts that the library tells."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from contracts.commands import RequestReview, SetConfused
from contracts.events import DoubleChecked
from services.evaluator.domain.faults import ActionRefused
from services.evaluator.review import rounds
from services.evaluator.review.confusions import set_confused
from services.evaluator.review.queues import StoredQueue, newest_queue
from services.evaluator.review.reading import Part, Queues, Row
from services.evaluator.review_tables import review_tables
from services.evaluator.store import metadata
from services.runtime.database import Database, Unit
from services.runtime.delivery import Delivery, Unprocessable
from services.runtime.text import storable

Outcome = dict[str, Any]
"""What the requester is told; JSON."""

ROUND_IMAGES = 100
"""Of a round that names neither class nor number: an hour of a person's time."""
ROUND_MOST = 10_000
PAGE = 1_000
handled = review_tables(metadata).handled


def perform(unit: Unit, command: SetConfused | RequestReview, at: datetime) -> Outcome:
    """Do what is asked; what was handled before changes nothing and is told the same again.

    A round is queued: it is made when its message is heard, like any that was sent as one.

    Raises:
        ActionRefused: it cannot be done, and why.
    """
    command = storable(command)
    query = sa.select(handled).where(handled.c.request_id == command.request_id)
    before = unit.connection.execute(query).first()
    if before is not None:
        if before.name != command.name:
            raise ActionRefused(
                409, f"request_id {command.request_id!r} was used for {before.name}; make a new one"
            )
        outcome: Outcome = before.outcome
        return outcome
    if isinstance(command, SetConfused):
        outcome = set_confused(unit, command, at)
    else:
        newest_queue(unit.connection, command.model_version)
        unit.emit(command)
        outcome = {"queued": True, "round_id": command.request_id}
    row = {
        "request_id": command.request_id, "name": command.name, "outcome": outcome,
        "handled_at": at.astimezone(UTC),
    }  # fmt: skip
    unit.connection.execute(sa.insert(handled).values(row))
    return outcome


class Reviewing:
    """Handlers of ``evaluator-confusions``, ``evaluator-reviews`` and ``evaluator-verdicts``."""

    def __init__(self, database: Database, queues: Queues, log: Any) -> None:
        self._database = database
        self._queues = queues
        self._log = log

    async def confusion(self, delivery: Delivery[SetConfused]) -> None:
        """A change of the table of confused pairs."""
        command, at = delivery.message, datetime.now(UTC)
        try:
            await self._database.run(lambda unit: perform(unit, command, at))
        except ActionRefused as error:
            raise Unprocessable(str(error)) from error

    async def requested(self, delivery: Delivery[RequestReview]) -> None:
        """Choose the images of a round from the queue, and ask the library for their double-checks."""
        request, at = storable(delivery.message), datetime.now(UTC)
        if await self._database.read(lambda c: rounds.is_open(c, request.request_id)):
            return
        try:
            queue = await self._database.read(lambda c: newest_queue(c, request.model_version))
        except ActionRefused as error:
            raise Unprocessable(str(error)) from error
        rows = await self._chosen(request, queue)
        await self._database.run(lambda unit: rounds.open_round(unit, request, queue, rows, at))
        self._log.info("review.opened", round_id=request.request_id, images=len(rows))

    async def verdicts(self, deliveries: Sequence[Delivery[DoubleChecked]]) -> None:
        """What people said of images, whoever asked."""
        said = [delivery.message for delivery in deliveries]
        await self._database.run(lambda unit: rounds.note_verdicts(unit, said))

    async def _chosen(self, request: RequestReview, queue: StoredQueue) -> list[Row]:
        """A class or a pair as a whole; else the most doubtful images that are not settled."""
        opened = await self._queues.open(queue.file)
        part = Part(request.class_name, request.confused_with, request.sets)
        whole = request.class_name is not None
        most = request.limit or (ROUND_MOST if whole else ROUND_IMAGES)
        chosen: list[Row] = []
        after: int | None = 0
        while after is not None and len(chosen) < most:
            rows, after = opened.page(part, PAGE, after)
            done = set() if whole else await self._settled(rows, queue)
            chosen += [row for row in rows if row["image_id"] not in done]
        return chosen[:most]

    async def _settled(self, rows: list[Row], queue: StoredQueue) -> set[str]:
        return await self._database.read(lambda c: rounds.settled(c, rows, queue.scored_at))
