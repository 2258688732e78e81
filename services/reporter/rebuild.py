"""Replacing the content of the reporting store by what the log says, and comparing the two."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa

from contracts.message import Message
from contracts.subjects import CONSUMERS, Consumer
from services.reporter.domain.changes import Change, Unprojectable
from services.reporter.domain.projection import project
from services.reporter.eventlog import StoredEvent
from services.reporter.store.digests import Digest, clear, digests, lock
from services.reporter.store.writing import write
from services.runtime.database import Database, Unit
from services.runtime.envelope import MalformedMessage, decode

T = TypeVar("T")

HEARD: tuple[Consumer, ...] = tuple(consumer for consumer in CONSUMERS if consumer.service == "reporter")
ANSWER_S = 60.0
"""The log gives up on a batch after half of it, with the better error."""


class RebuildRunning(Exception):
    """One rebuild at a time."""


class Log(Protocol):
    """What a rebuild asks of the streams."""

    async def last_seq(self, stream: str) -> int:
        """Sequence of the newest event."""

    async def settled_seq(self, stream: str, durable: str) -> int:
        """Every event up to this one was handled by ``durable``."""

    def read(self, heard: Consumer, first: int, last: int) -> AsyncIterator[list[StoredEvent]]:
        """Events ``first`` .. ``last`` that ``heard`` listens to, in batches."""


Report = Callable[[dict[str, Any]], None]


class Rebuild:
    """Runs in one write transaction: it commits the rebuilt content, or leaves the old one."""

    def __init__(self, database: Database, open_log: Callable[[], Coroutine[Any, Any, Log]]) -> None:
        self._database = database
        self._open_log = open_log
        self._running: asyncio.Task[None] | None = None
        self._waiting: concurrent.futures.Future[Any] | None = None
        self._stopping = False

    def start(self) -> AsyncIterator[dict[str, Any]]:
        """Begin; yields progress, then the report. It goes on when nobody listens any more.

        Raises:
            RebuildRunning: one is under way.
        """
        if self._running is not None and not self._running.done():
            raise RebuildRunning("a rebuild is running already; wait for its end")
        lines: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._running = asyncio.create_task(self._run(lines))
        return _until_none(lines)

    async def stop(self) -> None:
        """Roll back a running rebuild, so that the process can end."""
        self._stopping = True
        if self._waiting is not None:
            self._waiting.cancel()
        if self._running is not None:
            await asyncio.gather(self._running, return_exceptions=True)

    async def _run(self, lines: asyncio.Queue[dict[str, Any] | None]) -> None:
        loop = asyncio.get_running_loop()
        try:
            log = await self._open_log()

            def report(line: dict[str, Any]) -> None:
                loop.call_soon_threadsafe(lines.put_nowait, line)

            def work(unit: Unit) -> dict[str, Any]:
                return self._replace(unit.connection, log, loop, report)

            lines.put_nowait(await self._database.run(work))
        except Exception as error:  # noqa: BLE001 - the caller only has the answer's lines
            lines.put_nowait({"error": f"{type(error).__name__}: {error}", "equal": False})
        finally:
            lines.put_nowait(None)

    def _replace(
        self, connection: sa.Connection, log: Log, loop: asyncio.AbstractEventLoop, report: Report
    ) -> dict[str, Any]:
        lock(connection)
        last = {heard.stream: self._wait(log.last_seq(heard.stream), loop) for heard in HEARD}
        # What is stored but not yet settled may or may not be in the tables. Applying it once more
        # changes nothing that is there, and makes both sides of the comparison "all events to last".
        for heard in HEARD:
            settled = self._wait(log.settled_seq(heard.stream, heard.durable), loop)
            for batch in self._batches(log, heard, settled + 1, last[heard.stream], loop):
                write(connection, _changes(batch)[0])
        before = digests(connection)
        clear(connection)
        events = skipped = 0
        for heard in HEARD:
            end = last[heard.stream]
            for batch in self._batches(log, heard, 1, end, loop):
                changes, unread = _changes(batch)
                write(connection, changes)
                events, skipped = events + len(batch), skipped + unread
                report({"stream": heard.stream, "seq": batch[-1].seq, "of": end})
        return _compared(before, digests(connection)) | {"events": events, "skipped": skipped}

    def _batches(
        self, log: Log, heard: Consumer, first: int, last: int, loop: asyncio.AbstractEventLoop
    ) -> Iterator[list[StoredEvent]]:
        batches = log.read(heard, first, last)
        while (batch := self._wait(_next(batches), loop)) is not None:
            yield batch

    def _wait(self, answer: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> T:
        if self._stopping:
            answer.close()
            raise InterruptedError("the service is stopping; the store is as it was")
        self._waiting = asyncio.run_coroutine_threadsafe(answer, loop)
        return self._waiting.result(ANSWER_S)  # type: ignore[no-any-return]


def _changes(batch: list[StoredEvent]) -> tuple[list[Change], int]:
    """Changes of a batch, and how many of its events no projection can read.

    Those lie in dead letters; the live path skipped them, too.
    """
    changes: list[Change] = []
    skipped = 0
    for event in batch:
        try:
            message: Message = decode(event.subject, event.body)
            changes.extend(project(message, event.seq))
        except (MalformedMessage, Unprojectable):
            skipped += 1
    return changes, skipped


def _compared(before: dict[str, Digest], after: dict[str, Digest]) -> dict[str, Any]:
    tables = {
        name: {"rows_before": old.rows, "rows_after": after[name].rows, "equal": old == after[name]}
        for name, old in before.items()
    }
    return {"tables": tables, "equal": all(table["equal"] for table in tables.values())}


async def _next(batches: AsyncIterator[list[StoredEvent]]) -> list[StoredEvent] | None:
    return await anext(batches, None)


async def _until_none(lines: asyncio.Queue[dict[str, Any] | None]) -> AsyncIterator[dict[str, Any]]:
    while (line := await lines.get()) is not None:
        yield line
