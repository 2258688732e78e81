"""Transactional outbox: rows are written with the state change and published after the commit.

A crash between the two publishes later; a crash between publishing and deleting the row
publishes twice under one ``Nats-Msg-Id``, which the broker drops or the handlers take in stride.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from nats.js import JetStreamContext
from sqlalchemy.dialects import postgresql, sqlite

from contracts.message import Message
from contracts.values import ObjectRef
from services.runtime.envelope import encode
from services.runtime.logs import get_log
from services.runtime.tables import outbox_table

if TYPE_CHECKING:
    from services.runtime.database import Database

BATCH = 256
"""Published in flight together: with a sync per message the broker's rate doubles from 1 to 100."""
PUBLISH_TIMEOUT_S = 15.0
POLL_S = 5.0
ORPHANED_AFTER = timedelta(seconds=30)
"""Rows of another replica are left to it for so long; older ones belong to a dead one."""


def insert_outbox(
    connection: sa.Connection,
    metadata: sa.MetaData,
    messages: Sequence[Message],
    source: str,
    owner: str,
) -> None:
    """Write ``messages`` as rows; one that is already waiting under the same id is kept once."""
    table = outbox_table(metadata)
    now = datetime.now(UTC)
    rows: list[dict[str, Any]] = []
    for message in messages:
        body, headers = encode(message, source)
        rows.append(
            {
                "message_id": headers["Nats-Msg-Id"],
                "subject": type(message).subject(),
                "stream": type(message).stream(),
                "headers": headers,
                "body": body,
                "refers_to_objects": any(isinstance(value, ObjectRef) for _, value in message),
                "owner": owner,
                "created_at": now,
            }
        )
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    connection.execute(insert(table).on_conflict_do_nothing(index_elements=["message_id"]), rows)


class OutboxRelay:
    """Publishes waiting rows in order, confirmed, then deletes them.

    ``barrier`` makes objects durable before an event that refers to them is said.
    """

    def __init__(self, database: Database, owner: str, barrier: Callable[[], None]) -> None:
        self._database = database
        self._table = outbox_table(database.metadata)
        self._owner = owner
        self._barrier = barrier
        self._wake = asyncio.Event()
        self._log = get_log("outbox")
        self._js: JetStreamContext | None = None

    def kick(self) -> None:
        """There may be new rows."""
        self._wake.set()

    async def run(self, js: JetStreamContext) -> None:
        """Relay for ever; cancel to stop. A fault is logged and tried again."""
        self._js = js
        pause_s = 0.2
        while True:
            self._wake.clear()
            try:
                more = await self.relay_once()
                pause_s = 0.2
            except Exception as error:  # the broker, the store or the database is away
                self._log.warning("outbox.waiting", error=repr(error), again_in_s=pause_s)
                await asyncio.sleep(pause_s)
                pause_s, more = min(pause_s * 2, POLL_S), True
            if not more:
                # Not wait_for: on Python 3.11 it can swallow a cancel that meets the wake-up.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):
                        await self._wake.wait()

    async def relay_once(self) -> bool:
        """Publish one batch; True when there may be more."""
        rows = await self._database.read(self._waiting)
        if not rows:
            return False
        if any(row.refers_to_objects for row in rows):
            await asyncio.to_thread(self._barrier)
        outcomes = await asyncio.gather(*(self._publish(row) for row in rows), return_exceptions=True)
        done = [
            row.outbox_id
            for row, outcome in zip(rows, outcomes, strict=True)
            if not isinstance(outcome, BaseException)
        ]
        if done:
            await self._database.run(lambda unit: self._delete(unit.connection, done))
        failed = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        if failed:
            raise failed[0]
        return len(rows) == BATCH

    async def waiting(self) -> int:
        """Rows not yet confirmed."""
        count = sa.select(sa.func.count()).select_from(self._table)
        return await self._database.read(lambda connection: connection.execute(count).scalar_one())

    def _waiting(self, connection: sa.Connection) -> Sequence[sa.Row[Any]]:
        table = self._table
        mine = sa.or_(
            table.c.owner == self._owner,
            table.c.created_at < datetime.now(UTC) - ORPHANED_AFTER,
        )
        if connection.dialect.name == "sqlite":  # one process: whatever waits is ours
            mine = sa.true()
        query = sa.select(table).where(mine).order_by(table.c.outbox_id).limit(BATCH)
        return connection.execute(query).all()

    def _delete(self, connection: sa.Connection, ids: Sequence[int]) -> None:
        connection.execute(sa.delete(self._table).where(self._table.c.outbox_id.in_(ids)))

    async def _publish(self, row: sa.Row[Any]) -> None:
        assert self._js is not None
        headers = row.headers if isinstance(row.headers, dict) else json.loads(row.headers)
        await self._js.publish(
            row.subject, row.body, stream=row.stream, headers=headers, timeout=PUBLISH_TIMEOUT_S
        )
