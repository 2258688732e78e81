"""Two trainers, one model to export: one of them writes at a time, whatever becomes of the other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from contracts.events import ModelExported
from services.ops.clients.exports import check_stored
from services.runtime.delivery import Postponed
from services.runtime.leases import LeaseLost
from services.runtime.signing import public_key_of
from services.trainer import store
from services.trainer.store.tables import model_table
from tests.support.export_desk import VERSION, ExportDesk, order
from tests.support.export_house import KEY
from tests.support.probe import until
from tests.support.servers import S3Server

pytestmark = [pytest.mark.integration, pytest.mark.models]

PATIENCE_S = 300.0
LONG_S, GONE_S = 60.0, -1.0
"""A lease that lasts for the test, and one that has run out."""
Two = tuple[ExportDesk, ExportDesk]


@pytest.fixture
def two(weed: S3Server, tmp_path: Path, database_url: str) -> Iterator[Two]:
    """Two trainers on one database, as on two machines."""
    one, other = (ExportDesk(weed, tmp_path / name, database_url) for name in ("one", "other"))
    one.clear()
    yield one, other
    for desk in (one, other):
        desk.database.close()


async def exporter_of(desk: ExportDesk) -> str | None:
    query = sa.select(model_table.c.exporter).where(model_table.c.model_version == VERSION)
    found: str | None = await desk.database.read(lambda c: c.execute(query).scalar_one())
    return found


async def test_of_two_trainers_that_export_a_model_at_once_one_waits_and_finds_it_whole(two: Two) -> None:
    one, other = two
    await one.register()
    first = asyncio.create_task(one.hear(order("order-first")))

    async def begun() -> bool:
        return await exporter_of(one) is not None

    await until(begun, PATIENCE_S)
    with pytest.raises(Postponed, match="another trainer exports model 001"):
        await other.hear(order("order-second"))
    await first
    written = one.objects()
    await other.hear(order("order-second"))
    assert await exporter_of(one) is None
    told = await one.told(ModelExported)
    assert [exported.request_id for exported in told] == ["order-first", "order-second"]
    assert told[0].manifest == told[1].manifest
    assert one.objects() == written
    assert check_stored(one.store, VERSION, public_key_of(KEY)).files > 10


async def test_a_trainer_that_lost_its_export_tells_nothing_and_its_child_ends(
    weed: S3Server, tmp_path: Path
) -> None:
    # It renews every half second, so that it hears soon of what the test does.
    desk = ExportDesk(weed, tmp_path, f"sqlite:///{tmp_path}/trainer.sqlite", lease_s=2.0)
    desk.clear()
    await desk.register()
    losing = asyncio.create_task(desk.hear(order()))

    async def taken_over() -> bool:
        """As by a trainer that found the lease run out."""
        query = sa.update(model_table).where(model_table.c.exporter.is_not(None)).values(exporter="other")
        return await desk.database.run(lambda unit: unit.connection.execute(query).rowcount == 1)

    await until(taken_over, PATIENCE_S)
    with pytest.raises(Postponed):
        await losing
    assert desk.objects() == []
    assert await desk.told(ModelExported) == []
    assert await exporter_of(desk) == "other"  # it is not the loser's to give back
    desk.database.close()


async def test_an_export_has_one_exporter_until_its_lease_runs_out(two: Two) -> None:
    one, other = two
    await one.register()

    async def do(desk: ExportDesk, work: Any, owner: str, *lease_s: float) -> Any:
        return await desk.database.run(lambda unit: work(unit, VERSION, owner, *lease_s))

    assert await do(one, store.export_lease.take, "mine", GONE_S)
    await do(one, store.export_lease.renew, "mine", LONG_S)  # late, and nobody wanted it meanwhile
    assert not await do(other, store.export_lease.take, "other", LONG_S)
    await do(one, store.export_lease.renew, "mine", GONE_S)
    assert await do(other, store.export_lease.take, "other", LONG_S)
    with pytest.raises(LeaseLost):
        await do(one, store.export_lease.renew, "mine", LONG_S)
    await do(one, store.export_lease.release, "mine")  # not its any more
    wanted = [do(desk, store.export_lease.take, f"owner-{n}", LONG_S) for n, desk in enumerate((*two, *two))]
    assert not any(await asyncio.gather(*wanted))
    await do(other, store.export_lease.release, "other")
    wanted = [do(desk, store.export_lease.take, f"owner-{n}", LONG_S) for n, desk in enumerate((*two, *two))]
    assert sum(await asyncio.gather(*wanted)) == 1
