"""Runs that end without a model: refused, killed, come too late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from contracts.events import TrainCancelled, TrainFailed, TrainProgressed
from contracts.training import DatasetRules
from services.runtime.delivery import Postponed
from services.runtime.leases import LeaseLost
from services.runtime.logs import get_log
from services.trainer import store
from services.trainer.domain.specs import Outcome
from services.trainer.handlers import Children, leased
from services.trainer.handlers.leased import LeasedChild
from services.trainer.settings import TrainerSettings
from tests.support.colour_library import NOW
from tests.support.digit_library import DigitLibrary
from tests.support.model_services import model_service_settings
from tests.support.servers import S3Server
from tests.support.trainer_house import training
from tests.support.trainer_room import PATIENCE_S, TrainerRoom, so, under_way

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(weed: S3Server, tmp_path: Path) -> TrainerSettings:
    values = model_service_settings("trainer", weed, f"sqlite:///{tmp_path}/t.sqlite", tmp_path / "work")
    return TrainerSettings(**values, stop_check_s=0.05, stop_grace_s=0.05, checkpoint_store_every_s=0.0)


@pytest.fixture
async def room(settings: TrainerSettings, weed: S3Server) -> AsyncIterator[TrainerRoom]:
    made = TrainerRoom(settings, weed.store(), "ends")
    yield made
    made.database.close()


@pytest.mark.models
async def test_a_library_too_small_fails_the_run_once_with_the_nearest_classes(room: TrainerRoom) -> None:
    packed = DigitLibrary(room.objects, "ends-small", "01", 12).packed()
    await room.hear(packed)
    asked = training("run-small", packed, rules=DatasetRules())
    for _ in range(2):
        await room.hear(asked)
    (failed,) = await room.told()
    assert isinstance(failed, TrainFailed)
    assert failed.error == "no class has 40 labelled images"
    assert failed.remedy.endswith("nearest: 0 12, 1 12")
    assert "the run has failed: no class has 40 labelled images" in room.log("run-small")


async def test_a_base_that_was_never_trained_fails_the_run(room: TrainerRoom) -> None:
    await room.hear(training("run-base", await room.packed(), base="404"))
    failed = await room.last()
    assert isinstance(failed, TrainFailed)
    assert failed.error == "there is no model 404 to start from"
    assert failed.remedy == "set base to newest, scratch, or one of: none yet"


async def test_a_child_that_dies_is_tried_once_more_and_then_the_run_has_failed(room: TrainerRoom) -> None:
    room.settings.keras_backend = "none-such"  # Keras refuses it while it is imported
    asked = training("run-dying", await room.packed())
    for _ in range(2):
        await room.hear(asked)
    (failed,) = await room.told()
    assert isinstance(failed, TrainFailed)
    assert "died 2 times without coming further" in failed.error
    assert "none-such" in failed.error
    assert failed.remedy.startswith("a fault of the trainer, not of the request")


async def test_a_cancelled_child_that_has_to_be_killed_leaves_its_whole_log(
    room: TrainerRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leased, "FITTING", "tests.support.deaf_child")
    async with under_way(room, training("run-deaf", await room.packed())) as run:
        await so(lambda: bool(room.objects_of("run-deaf", "log/")))
        await room.cancel("run-deaf")
        await asyncio.wait_for(run, PATIENCE_S)
    told = await room.told()
    assert [type(message) for message in told] == [TrainProgressed, TrainCancelled]
    assert room.log("run-deaf").endswith("  the last words\n")
    assert not room.objects_of("run-deaf", "log/")


async def test_a_result_that_comes_after_the_lease_leaves_the_run_to_its_new_owner(
    room: TrainerRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leased, "FITTING", "tests.support.light_child")
    in_time = LeasedChild.run

    async def too_late(*arguments: Any) -> Outcome:
        outcome = await in_time(*arguments)
        _, spec, owner, _ = arguments
        await room.database.run(lambda unit: store.run_lease.release(unit, spec.run_id, owner))
        assert await room.database.run(lambda unit: store.run_lease.take(unit, spec.run_id, "another", 600.0))
        return outcome

    monkeypatch.setattr(LeasedChild, "run", too_late)
    with pytest.raises(Postponed, match="run run-late was taken over before its end could be told"):
        await room.hear(training("run-late", await room.packed()))
    assert {type(message) for message in await room.told()} == {TrainProgressed}
    assert any(key.endswith("newest.json") for key in room.objects_of("run-late", "checkpoint/"))
    run = await room.database.read(lambda c: store.find_run(c, "run-late"))
    assert run is not None
    assert (run.state, run.owner) == (store.RunState.RUNNING, "another")


async def test_no_child_begins_on_a_lease_that_is_lost(room: TrainerRoom, settings: TrainerSettings) -> None:
    asked = training("run-lost", await room.packed())
    await room.database.run(lambda unit: store.begin_run(unit, asked, NOW))
    assert await room.database.run(lambda unit: store.run_lease.take(unit, "run-lost", "another", 600.0))
    child = LeasedChild(room.database, Children(settings), settings, get_log("trainer"))
    spec: Any = SimpleNamespace(run_id="run-lost")  # more of it is not looked at
    with pytest.raises(LeaseLost):
        await child.run(spec, "mine", lambda told: asyncio.sleep(0))
