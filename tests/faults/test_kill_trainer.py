"""``kill -9`` of the trainer and of its child, twenty times in one run: the weights of an undisturbed one."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import zipfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from nats.js import JetStreamContext

from contracts.events import ModelTrained, SnapshotPacked, TrainFailed
from tests.support.digit_library import DigitLibrary
from tests.support.probe import dead_letters, say, until
from tests.support.servers import Broker, S3Server
from tests.support.trainer_house import QUICK, TrainerHouse, child_of, said, training

pytestmark = pytest.mark.faults

SEED = os.environ.get("FAULT_SEED", "1")
"""Another seed tries other moments."""
KILLS = int(os.environ.get("FAULT_KILLS", "20"))
"""Fewer give a quick look."""
SERVICE_KILLS = KILLS // 3
"""Of them, kills of the service; its child dies with it."""
EARLY_KILLS = KILLS // 4
"""Of them, kills before the first new checkpoint: in imports, in the data set, in the store ..."""
STEPS_MOST = 6
PATIENCE_S = 900.0
OPTIONS = QUICK.model_copy(update={"epochs": 120})
FREQUENT: dict[str, Any] = {"checkpoint_every_s": 0.0, "checkpoint_store_every_s": 0.5}


@pytest.fixture(params=["tests.support.light_child", "services.trainer.job"])
async def house(
    broker: Broker, weed: S3Server, tmp_path: Path, request: pytest.FixtureRequest
) -> TrainerHouse:
    await asyncio.to_thread(broker.provision)
    database = f"sqlite:///{tmp_path}/trainer.sqlite"
    return TrainerHouse(broker, weed, database, tmp_path, child=request.param)


@pytest.fixture
async def js(house: TrainerHouse) -> AsyncIterator[JetStreamContext]:
    client = await house.broker.client("admin")
    yield client.jetstream(timeout=15)
    await client.close()


class Killer:
    """Kills the trainer, or its child, at moments that the seed decides."""

    def __init__(self, house: TrainerHouse, run_id: str) -> None:
        self.house, self.run_id = house, run_id
        self.chance = random.Random(SEED)
        # Two early deaths of children in a row are a run that does not come on, which fails.
        late = ["late"] * (KILLS - EARLY_KILLS)
        for place in sorted(self.chance.sample(range(len(late)), EARLY_KILLS), reverse=True):
            late.insert(place, "early")
        self.moments = late
        self.killed: int | None = None
        self.services = set(self.chance.sample(range(KILLS), SERVICE_KILLS))

    async def moment(self, kind: str, trainer: int) -> int:
        """Wait for the next moment; returns the child that lives then."""

        async def begun() -> bool:
            self.house.checkpoints_of(self.run_id)  # fails when the run has
            return child_of(trainer) not in (None, self.killed)

        await until(begun, PATIENCE_S)
        # What the one before told and its parent had not yet noted is noted by now.
        before = self.house.checkpoints_of(self.run_id)
        if kind == "early":
            await asyncio.sleep(self.chance.uniform(0.0, 3.0))
        else:
            wanted = before + self.chance.randint(1, STEPS_MOST)

            async def came_on() -> bool:
                return self.house.checkpoints_of(self.run_id) >= wanted

            await until(came_on, PATIENCE_S)
        self.killed = child_of(trainer)
        assert self.killed is not None, "the run ended, or the child died, before its moment"
        return self.killed

    async def kill_all(self) -> None:
        """All kills; a service that was killed is started again at once. Leaves one running at the end."""
        async with AsyncExitStack() as stack:
            trainer = await stack.enter_async_context(self.house.trainer(settings=FREQUENT))
            for number, kind in enumerate(self.moments):
                child = await self.moment(kind, trainer.pid)
                if number in self.services:
                    trainer.kill()
                    await trainer.wait()
                    trainer = await stack.enter_async_context(self.house.trainer(settings=FREQUENT))
                else:
                    os.kill(child, signal.SIGKILL)


async def ended(js: JetStreamContext, run_id: str) -> ModelTrained:
    """The run's model."""

    async def over() -> bool:
        runs = {one.run_id for one in await said(js, ModelTrained)}
        return run_id in runs | {one.run_id for one in await said(js, TrainFailed)}

    await until(over, PATIENCE_S)
    assert await said(js, TrainFailed) == []
    (trained,) = [one for one in await said(js, ModelTrained) if one.run_id == run_id]
    return trained


def weights_of(house: TrainerHouse, trained: ModelTrained) -> bytes:
    """The weights as they lie in the ``.keras`` file (beside them it has the time of its writing)."""
    if trained.network == "light":
        return house.store.get(trained.model)
    with zipfile.ZipFile(BytesIO(house.store.get(trained.model))) as archive:
        return archive.read("model.weights.h5")


async def test_twenty_kills_change_no_weight(house: TrainerHouse, js: JetStreamContext) -> None:
    """With the light child only who runs what; with the real one the weights of a network."""
    packed: SnapshotPacked = DigitLibrary(house.store, f"killed-{SEED}", "01", 20).packed()
    await house.hurry(js)
    await say(js, packed, training("run-killed", packed, options=OPTIONS))
    await Killer(house, "run-killed").kill_all()
    async with house.trainer(settings=FREQUENT):
        killed = await ended(js, "run-killed")
        await say(js, training("run-undisturbed", packed, options=OPTIONS))
        undisturbed = await ended(js, "run-undisturbed")
    assert (killed.epochs, killed.best_epoch) == (undisturbed.epochs, undisturbed.best_epoch)
    assert weights_of(house, killed) == weights_of(house, undisturbed)
    assert killed.dataset.sha256 == undisturbed.dataset.sha256
    assert await dead_letters(js) == []
    assert not list(house.store.list("models", "runs/run-killed/checkpoint/"))
