"""One evaluator at a time at a piece of work, and each result told once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from deploy.migrate import upgrade
from services.evaluator import store
from services.evaluator.handlers.leased import Leases
from services.evaluator.store.tables import lease_table
from services.runtime.database import Database
from services.runtime.delivery import Postponed
from services.runtime.leases import LeaseLost
from services.runtime.logs import get_log
from tests.support.servers import Postgres

pytestmark = pytest.mark.integration

LONG_S, OVER_S = 600.0, -1.0
"""A lease that lasts, and one that is over when it is taken."""


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path}/evaluator.sqlite"
    if request.param == "postgresql":
        postgres: Postgres = request.getfixturevalue("postgres")
        url = postgres.new_database()
    upgrade("evaluator", url)
    made = Database(url, store.metadata, source="evaluator", owner="test")
    yield made
    made.close()


async def take(database: Database, owner: str, lease_s: float = LONG_S) -> bool:
    return await database.run(lambda unit: store.take(unit, "scoring 001/a", owner, lease_s))


async def test_only_one_of_two_takes_the_work_until_it_is_let_go(database: Database) -> None:
    assert sorted(await asyncio.gather(take(database, "one"), take(database, "two"))) == [False, True]
    for owner in ("one", "two"):
        await database.run(lambda unit, owner=owner: store.release(unit, "scoring 001/a", owner))  # type: ignore[misc]
    assert await take(database, "three")


async def test_who_stops_renewing_loses_the_work(database: Database) -> None:
    assert await take(database, "one", OVER_S)
    assert await take(database, "two")
    with pytest.raises(LeaseLost, match="scoring 001/a is no longer one's"):
        await database.run(lambda unit: store.renew(unit, "scoring 001/a", "one", LONG_S))
    await database.run(lambda unit: store.release(unit, "scoring 001/a", "one"))  # lets nothing go
    assert not await take(database, "three")
    await database.run(lambda unit: store.renew(unit, "scoring 001/a", "two", OVER_S))
    assert await take(database, "three")


async def test_work_whose_lease_is_lost_is_ended_and_done_by_the_other(database: Database) -> None:
    ended = asyncio.Event()

    async def work() -> None:
        # As if this one had been held until its lease was over, and another had taken the work.
        await database.run(
            lambda unit: unit.connection.execute(sa.update(lease_table).values(owner="another"))
        )
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(Postponed, match="work is no longer"):
        await Leases(database, 0.4, get_log("test")).run("work", work())
    assert ended.is_set()
    await database.run(lambda unit: store.renew(unit, "work", "another", LONG_S))
    with pytest.raises(Postponed, match="another evaluator is at work"):
        await Leases(database, LONG_S, get_log("test")).run("work", asyncio.sleep(0))


async def test_a_lease_is_let_go_with_the_works_result_or_its_fault(database: Database) -> None:
    leases = Leases(database, LONG_S, get_log("test"))

    async def failing() -> None:
        raise LookupError("a fault")

    for _ in range(2):
        with pytest.raises(LookupError, match="a fault"):
            await leases.run("work", failing())
        assert await leases.run("work", asyncio.sleep(0, "done")) == "done"
