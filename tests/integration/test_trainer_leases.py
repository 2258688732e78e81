"""Who works on a run, and how it is stopped: the trainer's tables on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from contracts.commands import CancelTraining
from contracts.events import TrainCancelled, TrainFailed, TrainProgressed, TrialCompleted
from contracts.message import message_types
from deploy.migrate import upgrade
from services.runtime.database import Database, Unit, make_engine
from services.runtime.leases import LeaseLost, database_now
from services.trainer import store
from services.trainer.store import RunState, Stop, StopKind
from services.trainer.store.leases import let_go_when_held
from tests.integration.test_trainer_store import HELD, request_of, trained_by
from tests.support.colour_library import NOW
from tests.support.servers import Postgres

pytestmark = pytest.mark.integration

T = TypeVar("T")
PATIENCE_S = 60.0
LONG_S, GONE_S = 60.0, -1.0
"""A lease that lasts for the test, and one that has run out."""
FAILED = TrainFailed(run_id="run-one", error="no class", remedy="label more", failed_at=NOW)


class Desk:
    """The store, with what it told."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def do(self, work: Callable[..., T], *arguments: Any, **named: Any) -> T:
        return await self._database.run(lambda unit: work(unit, *arguments, **named))

    async def begin(self, run_id: str = "run-one") -> RunState:
        return (await self.do(store.begin_run, request_of(run_id), NOW))[0]

    async def held(self, owner: str = "mine", lease_s: float = LONG_S) -> bool:
        return await self.do(store.run_lease.take, "run-one", owner, lease_s)

    async def cancel(self, run_id: str = "run-one", reason: str | None = None) -> RunState | None:
        asked = CancelTraining(
            request_id="cancel-1", run_id=run_id, by="ann", reason=reason, requested_at=NOW
        )
        return await self.do(store.cancel_run, asked, NOW)

    async def give_up(self) -> bool:
        return await self.do(store.give_up, request_of("run-one"), FAILED, NOW)

    async def told(self) -> list[Any]:
        table = store.metadata.tables["outbox"]
        query = sa.select(table.c.subject, table.c.body).order_by(table.c.outbox_id)
        rows = await self._database.read(lambda c: c.execute(query).all())
        return [message_types()[row.subject].model_validate_json(row.body) for row in rows]

    async def state(self) -> RunState | None:
        run = await self._database.read(lambda c: store.find_run(c, "run-one"))
        return None if run is None else run.state


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    upgrade("trainer", database_url)
    made = Database(database_url, store.metadata, source="trainer", owner="test")
    yield Desk(made)
    made.close()


async def test_a_run_has_one_owner_until_its_lease_runs_out(desk: Desk) -> None:
    assert not await desk.held()  # it has not begun
    await desk.begin()
    assert await desk.held("mine", GONE_S)
    await desk.do(store.run_lease.renew, "run-one", "mine", LONG_S)  # late, and nobody wanted it meanwhile
    assert not await desk.held("other")
    await desk.do(store.run_lease.renew, "run-one", "mine", GONE_S)
    assert await desk.held("other")
    with pytest.raises(LeaseLost):
        await desk.do(store.run_lease.renew, "run-one", "mine", LONG_S)
    await desk.do(store.run_lease.release, "run-one", "mine")  # not its any more
    assert not await desk.held("third")
    await desk.do(store.run_lease.release, "run-one", "other")
    assert await desk.held("third")


async def test_an_owner_that_is_held_in_a_transaction_holds_up_nobody(postgres: Postgres) -> None:
    url = postgres.new_database()
    upgrade("trainer", url)
    database = Database(url, store.metadata, source="trainer", owner="test")
    desk, held = Desk(database), make_engine(url)
    let_go_when_held(held, 0.1)
    await desk.begin()
    with held.connect() as connection:
        assert store.run_lease.take(Unit(connection, "trainer"), "run-one", "held", LONG_S)
        assert await asyncio.wait_for(desk.held("other"), PATIENCE_S)  # it waits for the other's row
        with pytest.raises(DBAPIError, match="idle-in-transaction"):
            store.run_lease.release(Unit(connection, "trainer"), "run-one", "held")
    held.dispose()
    database.close()


async def test_of_many_that_want_a_run_at_once_one_gets_it(desk: Desk) -> None:
    await desk.begin()
    got = await asyncio.gather(*(desk.held(f"owner-{number}") for number in range(8)))
    assert sum(got) == 1


async def test_an_owner_that_lost_its_run_can_tell_nothing_of_it(desk: Desk) -> None:
    await desk.begin()
    await desk.held("old", GONE_S)
    await desk.held("new")
    epoch = TrainProgressed(
        run_id="run-one", epoch=1, epochs=2, loss=1, accuracy=1, val_loss=None, val_accuracy=None,
        images_per_s=1, eta_s=1, progressed_at=NOW,
    )  # fmt: skip
    await desk.do(store.record_progress, epoch, "old")
    await desk.do(store.note_checkpoint, "run-one", "old", 9)
    await desk.do(store.end_with, FAILED, RunState.FAILED, NOW, "old")
    assert await desk.do(store.register, trained_by("run-one"), "old") is None
    with pytest.raises(LeaseLost):
        await desk.do(store.count_death, "run-one", "old")
    assert await desk.told() == []
    await desk.do(store.record_progress, epoch, "new")
    assert await desk.do(store.register, trained_by("run-one"), "new") == "001"
    assert [type(message).__name__ for message in await desk.told()] == ["TrainProgressed", "ModelTrained"]
    with pytest.raises(LeaseLost):
        await desk.do(store.run_lease.renew, "run-one", "new", LONG_S)


async def test_a_death_after_a_checkpoint_counts_nothing(desk: Desk) -> None:
    await desk.begin()
    await desk.held()
    die = partial(desk.do, store.count_death, "run-one", "mine")
    assert [await die(), await die()] == [1, 2]
    for number in range(1, 4):
        await desk.do(store.note_checkpoint, "run-one", "mine", number)
        assert [await die(), await die()] == [0, 1]


async def test_a_run_that_waits_is_cancelled_at_once_and_never_begins(desk: Desk) -> None:
    assert await desk.cancel(reason="a mistake") is None
    assert await desk.cancel() is None
    assert await desk.begin() is RunState.CANCELLED
    assert not await desk.held()
    (told,) = await desk.told()
    assert isinstance(told, TrainCancelled)
    assert (told.by, told.reason, told.epochs) == ("ann", "a mistake", 0)


async def test_a_run_that_nobody_works_on_is_cancelled_at_once(desk: Desk) -> None:
    await desk.begin()
    await desk.held("killed", GONE_S)
    assert await desk.cancel() is RunState.RUNNING
    assert await desk.state() is RunState.CANCELLED
    assert len(await desk.told()) == 1
    assert await desk.cancel() is RunState.CANCELLED
    assert len(await desk.told()) == 1


@pytest.mark.parametrize("ending", ["cancel_instead", "register", "end_with"])
async def test_a_run_in_hand_ends_as_cancelled_however_it_ends(desk: Desk, ending: str) -> None:
    await desk.begin()
    await desk.held()
    assert await desk.cancel() is RunState.RUNNING
    assert await desk.told() == []  # its trainer tells it
    ways: dict[str, Callable[[Unit], object]] = {
        "cancel_instead": lambda unit: store.cancel_instead(unit, "run-one", NOW, "mine"),
        "register": lambda unit: store.register(unit, trained_by("run-one"), "mine"),
        "end_with": lambda unit: store.end_with(unit, FAILED, RunState.FAILED, NOW, "mine"),
    }
    for _ in range(2):
        await desk.do(ways[ending])
    (told,) = await desk.told()
    assert isinstance(told, TrainCancelled)
    assert await desk.state() is RunState.CANCELLED


async def test_a_run_that_has_ended_is_not_cancelled(desk: Desk) -> None:
    await desk.begin()
    assert await desk.do(store.register, trained_by("run-one")) == "001"
    assert await desk.cancel() is RunState.DONE
    assert len(await desk.told()) == 1


async def test_a_pruned_trial_is_no_cancelled_run(desk: Desk) -> None:
    await desk.begin()
    await desk.held()
    await desk.do(store.ask_to_stop, Stop("run-one", StopKind.PRUNED, "search-1", None, NOW))
    pruned = TrialCompleted(
        run_id="run-one", snapshot_id="s", network="small_cnn", epochs=1, best_epoch=1,
        best_val_accuracy=0.5, history=HELD, completed_at=NOW, pruned=True,
    )  # fmt: skip
    assert not await desk.do(store.cancel_instead, "run-one", NOW, "mine")
    await desk.do(store.end_with, pruned, RunState.DONE, NOW, "mine")
    assert await desk.told() == [pruned]


async def test_a_run_that_is_given_up_is_told_once_and_goes_on_when_it_is_sent_again(desk: Desk) -> None:
    for _ in range(2):
        assert await desk.give_up()  # it was never begun: its snapshot did not come
    assert await desk.state() is RunState.GIVEN_UP
    assert await desk.told() == [FAILED]
    assert not await desk.held()
    assert await desk.begin() is RunState.RUNNING
    assert await desk.held()
    assert await desk.do(store.register, trained_by("run-one"), "mine") == "001"
    assert await desk.give_up()  # the letter is heard once more
    assert await desk.state() is RunState.DONE
    assert [type(message).__name__ for message in await desk.told()] == ["TrainFailed", "ModelTrained"]


async def test_a_run_that_a_trainer_works_on_is_not_given_up(desk: Desk) -> None:
    await desk.begin()
    await desk.held()
    assert not await desk.give_up()
    assert await desk.state() is RunState.RUNNING
    await desk.do(store.run_lease.release, "run-one", "mine")
    assert await desk.give_up()
    assert await desk.told() == [FAILED]


async def test_a_cancelled_run_that_is_given_up_is_told_as_cancelled(desk: Desk) -> None:
    await desk.begin()
    await desk.held()
    await desk.cancel()
    await desk.do(
        store.run_lease.release, "run-one", "mine"
    )  # its trainer was stopped before it saw the order
    assert await desk.give_up()
    assert [type(message).__name__ for message in await desk.told()] == ["TrainCancelled"]
    assert await desk.state() is RunState.CANCELLED


async def test_the_database_tells_the_time_of_leases(desk: Desk) -> None:
    now: datetime = await desk.do(lambda unit: database_now(unit.connection))
    assert now.tzinfo is not None
