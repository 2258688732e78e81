"""One database per service: transactions that carry their outgoing messages with them."""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from contracts.message import Message
from services.runtime.outbox import insert_outbox
from services.runtime.tables import attempt_table, outbox_table

T = TypeVar("T")

NAMING = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
RERUNS = 4
RERUN_SQLSTATES = {"40001", "40P01"}  # serialization failure, deadlock: PostgreSQL asks to retry


def new_metadata() -> sa.MetaData:
    """MetaData of one service, with the runtime's own tables in it."""
    metadata = sa.MetaData(naming_convention=NAMING)
    outbox_table(metadata)
    attempt_table(metadata)
    return metadata


class Unit:
    """One write transaction. What is emitted is stored with it and published after it."""

    def __init__(self, connection: sa.Connection, source: str) -> None:
        self.connection = connection
        self._source = source
        self._messages: list[Message] = []

    def emit(self, message: Message) -> None:
        """Publish ``message`` if, and only if, this transaction commits."""
        self._messages.append(message)

    def flush(self, metadata: sa.MetaData, owner: str) -> int:
        """Write the emitted messages to the outbox; returns how many."""
        if self._messages:
            insert_outbox(self.connection, metadata, self._messages, self._source, owner)
        return len(self._messages)


class Database:
    """Runs synchronous work in threads, one transaction each.

    SQLite has one writer, so its work is queued in one thread; PostgreSQL gets a small pool.
    """

    def __init__(self, url: str, metadata: sa.MetaData, source: str, owner: str) -> None:
        self.engine = make_engine(url)
        self.metadata = metadata
        self._source = source
        self._owner = owner
        writers = 1 if self.engine.dialect.name == "sqlite" else 4
        self._writers = ThreadPoolExecutor(writers, thread_name_prefix="db-write")
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="db-read")
        self.on_emit: Callable[[], None] = lambda: None

    async def run(self, work: Callable[[Unit], T]) -> T:
        """Commit ``work`` in one transaction. It may be run again after a deadlock: keep it pure."""
        result, emitted = await self._in_thread(self._writers, lambda: self._write(work))
        if emitted:
            self.on_emit()
        return result

    async def read(self, work: Callable[[sa.Connection], T]) -> T:
        """Run ``work`` on a connection that writes nothing."""

        def reading() -> T:
            with self.engine.connect() as connection:
                return work(connection)

        return await self._in_thread(self._readers, reading)

    def close(self) -> None:
        """Wait for running work and close all connections."""
        self._writers.shutdown()
        self._readers.shutdown()
        self.engine.dispose()

    async def _in_thread(self, pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        context = contextvars.copy_context()  # the trace and log ids follow into the thread
        return await asyncio.get_running_loop().run_in_executor(pool, context.run, work)

    def _write(self, work: Callable[[Unit], T]) -> tuple[T, int]:
        for attempt in range(1, RERUNS + 1):
            try:
                with self.engine.connect().execution_options(immediate=True) as connection:
                    with connection.begin():
                        unit = Unit(connection, self._source)
                        result = work(unit)
                        emitted = unit.flush(self.metadata, self._owner)
                    return result, emitted
            except DBAPIError as error:
                if attempt == RERUNS or getattr(error.orig, "sqlstate", None) not in RERUN_SQLSTATES:
                    raise
                time.sleep(random.uniform(0.01, 0.05) * attempt)  # noqa: S311 - jitter, not a secret
        raise AssertionError("unreachable")


def make_engine(url: str) -> sa.Engine:
    """Engine with the durability each dialect needs for an acknowledged write to survive power loss."""
    engine = sa.create_engine(url, pool_pre_ping=not url.startswith("sqlite"))
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _sqlite_connect)
        sa.event.listen(engine, "begin", _sqlite_begin)
    return engine


def _sqlite_connect(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver must not begin by itself; _sqlite_begin does
    cursor = connection.cursor()
    for pragma in ("busy_timeout=30000", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _sqlite_begin(connection: sa.Connection) -> None:
    # A writer takes the lock at once: upgrading a read transaction fails instead of waiting.
    immediate = connection.get_execution_options().get("immediate")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def serialise(connection: sa.Connection, name: str) -> None:
    """Wait until no other transaction of any process holds ``name``; it is let go when this one ends.

    Call it first: what is read afterwards is all that the others committed. On SQLite a write
    transaction is alone from its begin.
    """
    if connection.dialect.name == "postgresql":
        key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))


def upsert(
    connection: sa.Connection,
    table: sa.Table,
    rows: Sequence[dict[str, Any]],
    *,
    update: Sequence[str] | None = None,
    where: Callable[[Any], sa.ColumnElement[bool]] | None = None,
) -> None:
    """Insert ``rows`` (all with the same keys); on a primary key conflict set the ``update`` columns.

    ``update=None`` sets every given column outside the key, ``[]`` nothing. ``where`` gets the
    ``excluded`` row and may forbid the update (``excluded.revision > table.c.revision``).
    """
    if not rows:
        return
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = insert(table)
    keys = [column.name for column in table.primary_key]
    names = [name for name in rows[0] if name not in keys] if update is None else list(update)
    if names:
        chosen = statement.on_conflict_do_update(
            index_elements=keys,
            set_={name: statement.excluded[name] for name in names},
            where=where(statement.excluded) if where else None,
        )
    else:
        chosen = statement.on_conflict_do_nothing(index_elements=keys)
    connection.execute(chosen, list(rows))
