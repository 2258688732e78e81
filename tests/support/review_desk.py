"""The evaluator's double-check queue beside a real library: what one says is handed to the other by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from numpy.typing import NDArray
from pydantic import SecretStr

from contracts.commands import RequestDoubleCheck, RequestReview, SetConfused
from contracts.events import DoubleChecked, Gate, ModelScored, SetScore
from contracts.message import Message
from contracts.values import GateVerdict, ObjectRef
from services.evaluator.http import reports
from services.evaluator.http.application import create_http
from services.evaluator.queue_file import build_queue, put_queue
from services.evaluator.review.acting import Reviewing
from services.evaluator.review.queues import record_queue
from services.evaluator.review.reading import Queues
from services.evaluator.review_tables import review_tables
from services.evaluator.store import metadata
from services.ops.commands import session
from services.runtime.database import Database
from services.runtime.envelope import decode
from services.runtime.objectstore import ObjectStore
from tests.support.browser import serving
from tests.support.ingest_house import AT, MemoryStore, deliveries
from tests.support.library_desk import TOKEN, LibraryDesk, library_desk

REF = ObjectRef(bucket="reports", key="report.json", size=1, sha256="0" * 64)
review_tables(metadata)


class Silence:
    """A log that does not mix with what commands print."""

    def info(self, event: str, **said: object) -> None:
        """Nothing."""


class ReviewHouse:
    """The evaluator's tables, handlers and HTTP side, without a broker."""

    def __init__(self, database_url: str, store: ObjectStore | None = None, token: str = TOKEN) -> None:
        self.store = store or MemoryStore()
        self.database = Database(database_url, metadata, "evaluator", "house")
        metadata.create_all(self.database.engine)
        self.queues = Queues(self.store)
        self._reviewing = Reviewing(self.database, self.queues, Silence())
        self._token = SecretStr(token)

    @property
    def app(self) -> FastAPI:
        """As the service mounts it."""
        return create_http(
            self.database, self.queues, self._token, (reports.router(self.database, self.store),)
        )

    async def hear(self, *messages: Message) -> None:
        """Handle each once."""
        for delivery in deliveries(messages):
            match delivery.message:
                case SetConfused():
                    await self._reviewing.confusion(delivery)
                case RequestReview():
                    await self._reviewing.requested(delivery)
                case DoubleChecked():
                    await self._reviewing.verdicts([delivery])

    async def said(self, *kinds: type[Message]) -> list[Message]:
        """Messages of these kinds of committed transactions, in order."""
        table = metadata.tables["outbox"]
        query = sa.select(table.c.subject, table.c.body).order_by(table.c.outbox_id)
        rows = await self.database.read(lambda connection: connection.execute(query).all())
        return [message for row in rows if isinstance(message := decode(row.subject, row.body), kinds)]

    async def score(
        self,
        version: str,
        scores: NDArray[np.floating],
        image_ids: Sequence[str],
        labels: Sequence[int],
        classes: Sequence[str],
        *,
        sets: Sequence[str] | None = None,
        at: datetime = AT,
        figures: dict[str, Any] | None = None,
        **change: Any,
    ) -> ModelScored:
        """Record a scoring with its queue, as the evaluator does after its child."""
        named = sets or ["test"] * len(image_ids)
        queue = build_queue(scores, image_ids, named, np.array(labels, np.int64), classes)
        scored = ModelScored.model_validate({
            "request_id": f"run-{version}", "model_version": version, "threshold": 95.0, "scored_at": at,
            "sets": (SetScore.model_validate({"name": "test", "images": 12, "accuracy": 0.5} | (figures or {})),),
            "gate": Gate(verdict=GateVerdict.GO, rules=()), "report": REF, "scores": REF,
            "queue": put_queue(self.store, version, f"run-{version}", queue),
        } | change)  # fmt: skip
        await self.database.run(lambda unit: record_queue(unit, scored))
        return scored

    def close(self) -> None:
        """Let go of the database."""
        self.database.close()


class ReviewDesk:
    """The command line beside evaluator and library."""

    def __init__(self, desk: LibraryDesk, house: ReviewHouse) -> None:
        self.desk = desk
        self.house = house

    def ask(self, *arguments: str) -> Any:
        """The JSON of a command; afterwards both services have heard of it."""
        told = self.desk.ask(*arguments)
        asyncio.run(self.pass_on())
        return told

    async def pass_on(self) -> None:
        """Hand on everything that was said, again and again: what is heard twice changes nothing."""
        await self.house.hear(*await self.house.said(RequestReview))
        asked = await self.house.said(RequestDoubleCheck)
        await self.desk.house.handlers.requests(deliveries(asked))
        checked = [one for one in await self.desk.house.said() if isinstance(one, DoubleChecked)]
        await self.house.hear(*checked)


@contextmanager
def review_desk(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[ReviewDesk]:
    """An evaluator that has scored nothing yet, beside an empty library."""
    with library_desk(folder, capsys, monkeypatch) as desk:
        house = ReviewHouse(f"sqlite:///{folder}/evaluator.sqlite", desk.house.store)
        with serving(house.app) as url:
            stack = session.find_stack(None)
            both = replace(stack, urls=stack.urls | {"evaluator": url})
            monkeypatch.setattr(session, "find_stack", lambda data_dir: both)
            yield ReviewDesk(desk, house)
        house.close()


def later(hours: float) -> datetime:
    """So long after the library's usual time."""
    return AT + timedelta(hours=hours)
