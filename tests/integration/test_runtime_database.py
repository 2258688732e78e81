"""Transactions, outbox rows and upserts, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from contracts.commands import RequestSnapshot
from services.runtime.attempts import AttemptLedger
from services.runtime.database import Database, Unit, new_metadata, upsert
from services.runtime.outbox import outbox_table

pytestmark = pytest.mark.integration

METADATA = new_metadata()
ANIMALS = sa.Table(
    "animal",
    METADATA,
    sa.Column("animal_id", sa.Text, primary_key=True),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url, METADATA, source="test", owner="me")
    METADATA.create_all(database.engine)
    yield database
    database.close()


def snapshot_request(number: int = 1) -> RequestSnapshot:
    return RequestSnapshot(
        request_id=f"r-{number:04d}", by="ann", requested_at=datetime(2026, 11, 21, tzinfo=UTC)
    )


async def rows(database: Database, table: sa.Table) -> list[tuple[object, ...]]:
    return await database.read(
        lambda connection: [tuple(row) for row in connection.execute(sa.select(table)).all()]
    )


async def test_state_and_messages_are_stored_together(database: Database) -> None:
    def work(unit: Unit) -> None:
        upsert(unit.connection, ANIMALS, [{"animal_id": "a", "revision": 1, "name": "otter"}])
        unit.emit(snapshot_request())

    await database.run(work)
    assert await rows(database, ANIMALS) == [("a", 1, "otter")]
    assert len(await rows(database, outbox_table(METADATA))) == 1


async def test_neither_is_stored_when_the_work_fails(database: Database) -> None:
    def work(unit: Unit) -> None:
        upsert(unit.connection, ANIMALS, [{"animal_id": "a", "revision": 1, "name": "otter"}])
        unit.emit(snapshot_request())
        raise RuntimeError("too late")

    with pytest.raises(RuntimeError, match="too late"):
        await database.run(work)
    assert await rows(database, ANIMALS) == []
    assert await rows(database, outbox_table(METADATA)) == []


async def test_the_same_message_emitted_twice_waits_once(database: Database) -> None:
    for _ in range(2):
        await database.run(lambda unit: unit.emit(snapshot_request()))
    assert len(await rows(database, outbox_table(METADATA))) == 1


async def test_the_relay_is_told_only_of_committed_messages(database: Database) -> None:
    told: list[int] = []
    database.on_emit = lambda: told.append(1)
    await database.run(lambda unit: None)
    assert told == []
    await database.run(lambda unit: unit.emit(snapshot_request()))
    assert told == [1]


async def test_an_upsert_updates_only_where_it_may(database: Database) -> None:
    def put(revision: int, name: str) -> None:
        upsert(
            unit_connection[0],
            ANIMALS,
            [{"animal_id": "a", "revision": revision, "name": name}],
            where=lambda new: new.revision > ANIMALS.c.revision,
        )

    unit_connection: list[sa.Connection] = []

    def work(unit: Unit) -> None:
        unit_connection[:] = [unit.connection]
        put(2, "sea otter")
        put(1, "otter")
        put(3, "river otter")

    await database.run(work)
    assert await rows(database, ANIMALS) == [("a", 3, "river otter")]


async def test_an_upsert_without_updates_keeps_the_first(database: Database) -> None:
    def work(unit: Unit) -> None:
        for name in ("otter", "stoat"):
            upsert(unit.connection, ANIMALS, [{"animal_id": "a", "revision": 1, "name": name}], update=[])

    await database.run(work)
    assert await rows(database, ANIMALS) == [("a", 1, "otter")]


async def test_writers_at_the_same_time_all_commit(database: Database) -> None:
    def add(number: int) -> Awaitable[None]:
        def work(unit: Unit) -> None:
            upsert(unit.connection, ANIMALS, [{"animal_id": f"{number}", "revision": 1, "name": "otter"}])
            unit.emit(snapshot_request(number))

        return database.run(work)

    await asyncio.gather(*(add(number) for number in range(40)))
    assert len(await rows(database, ANIMALS)) == 40
    assert len(await rows(database, outbox_table(METADATA))) == 40


async def test_attempts_count_up_until_they_are_forgotten(database: Database) -> None:
    ledger = AttemptLedger(database)
    assert [await ledger.begin("d", 7) for _ in range(3)] == [1, 2, 3]
    assert await ledger.begin("d", 8) == 1
    await ledger.forget("d", 7)
    assert await ledger.begin("d", 7) == 1
