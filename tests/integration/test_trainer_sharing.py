"""Two trainers on one durable: one of them works on each request, whatever happens to the other."""

from __future__ import annotations

import asyncio
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from nats.js import JetStreamContext

from contracts.events import ModelTrained, TrainFailed, TrainProgressed
from tests.support.digit_library import DigitLibrary
from tests.support.probe import dead_letters, say, until
from tests.support.servers import Broker, Postgres, S3Server
from tests.support.trainer_house import QUICK, REQUESTS, STREAM, TrainerHouse, child_of, said, training

pytestmark = pytest.mark.integration

PATIENCE_S = 400.0
OFTEN: dict[str, Any] = {"checkpoint_every_s": 0.2, "checkpoint_store_every_s": 0.2}
LONG = QUICK.model_copy(update={"epochs": 150})


@pytest.fixture
async def house(broker: Broker, weed: S3Server, postgres: Postgres, tmp_path: Path) -> TrainerHouse:
    await asyncio.to_thread(broker.provision)
    # What is shared out is the trainers' affair, not the network's.
    return TrainerHouse(broker, weed, postgres.new_database(), tmp_path, child="tests.support.light_child")


@pytest.fixture
async def js(house: TrainerHouse) -> AsyncIterator[JetStreamContext]:
    client = await house.broker.client("admin")
    yield client.jetstream(timeout=15)
    await client.close()


async def test_a_held_trainer_loses_its_run_to_the_other_and_one_model_comes_of_it(
    house: TrainerHouse, js: JetStreamContext
) -> None:
    packed = DigitLibrary(house.store, "shared", "01", 20).packed()
    await house.hurry(js)

    async def begun() -> bool:
        return bool(await said(js, TrainProgressed))

    async def trained() -> bool:
        return bool(await said(js, ModelTrained))

    async def quiet() -> bool:
        info = await js.consumer_info(STREAM, REQUESTS)
        return bool(info.num_pending == 0 and info.num_ack_pending == 0)

    async with house.trainer("one", OFTEN) as one, house.trainer("other", OFTEN) as other:
        await say(js, packed, training("run-shared", packed, options=LONG))
        await until(begun, PATIENCE_S)
        holder, taker = sides(one, other)
        held = psutil.Process(child_of(holder.pid))
        holder.send_signal(signal.SIGSTOP)  # past its lease and ack_wait
        try:
            await until(trained, PATIENCE_S)
            assert held.status() == psutil.STATUS_ZOMBIE  # it ended by itself: nobody told it to go on
        finally:
            holder.send_signal(signal.SIGCONT)
        await until(quiet, PATIENCE_S)
        await say(js, training("run-after", packed, trial=True))
        await until(quiet, PATIENCE_S)
        assert taker.returncode is holder.returncode is None
    (model,) = await said(js, ModelTrained)
    assert model.run_id == "run-shared"
    assert model.epochs == LONG.epochs
    assert await said(js, TrainFailed) == []
    assert await dead_letters(js) == []


def sides(one: Process, other: Process) -> tuple[Process, Process]:
    """The trainer that has the run, and the other."""
    return (one, other) if child_of(one.pid) is not None else (other, one)
