"""Hears that a request was put aside (attempts used up, processes killed), and tells that it failed."""

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime
from typing import Any

from contracts.commands import RequestSearch, RequestTraining
from contracts.events import DeadLetterStored, TrainFailed
from contracts.message import Message
from services.runtime.database import Database
from services.runtime.delivery import Delivery, Postponed
from services.runtime.envelope import MalformedMessage, decode
from services.runtime.objectstore import ObjectStore
from services.trainer import store
from services.trainer.domain.errors import TrainingError
from services.trainer.fitting.faults import STORE_FAULTS
from services.trainer.handlers.telling import REASON_CHARACTERS
from services.trainer.runs.log import join_log_left
from services.trainer.settings import TrainerSettings
from services.trainer.store.searches import refuse_search

DURABLES = ("trainer-requests", "trainer-searches")


class GivingUp:
    """Handler of ``trainer-dead-letters``: a search, or a person, waits for the end of each run."""

    def __init__(self, database: Database, settings: TrainerSettings, log: Any) -> None:
        self._database = database
        self._settings = settings
        self._log = log

    async def handle(self, delivery: Delivery[DeadLetterStored]) -> None:
        """Tell it once.

        Raises:
            Postponed: a trainer works on the run all the same.
        """
        letter = delivery.message
        match message_in(letter) if letter.durable in DURABLES else None:
            case RequestTraining() as request:
                await self._run(letter, request)
            case RequestSearch() as wanted:
                error = TrainingError(_error(letter), "mend the cause, then search again")
                now = datetime.now(UTC)
                await self._database.run(lambda unit: refuse_search(unit, wanted, error, now))

    async def _run(self, letter: DeadLetterStored, request: RequestTraining) -> None:
        again = "search again"
        if not request.trial:
            place = f"`menagerie dead-letters replay {letter.dead_letter_id}`"
            again = f"{place}: the run goes on where it stopped"
        failed = TrainFailed(
            run_id=request.run_id, error=_error(letter), remedy=f"mend the cause, then {again}",
            failed_at=letter.stored_at,
        )  # fmt: skip
        now = datetime.now(UTC)
        if not await self._database.run(lambda unit: store.give_up(unit, request, failed, now)):
            raise Postponed(f"a trainer works on run {request.run_id}", self._settings.lease_s / 2)
        self._log.warning("run.given_up", run_id=request.run_id, error=failed.error)
        try:
            await asyncio.to_thread(join_log_left, ObjectStore(self._settings), request.run_id)
        except STORE_FAULTS as error:  # most likely what the run failed of
            self._log.warning("run.untidy", run_id=request.run_id, error=repr(error))


def message_in(letter: DeadLetterStored) -> Message | None:
    """What was put aside; None when it cannot be read: nobody waits for that."""
    try:
        return decode(letter.source_subject, base64.b64decode(letter.body_base64))
    except (MalformedMessage, ValueError):
        return None


def _error(letter: DeadLetterStored) -> str:
    return f"given up after {letter.attempts} attempts: {letter.error}"[:REASON_CHARACTERS]
