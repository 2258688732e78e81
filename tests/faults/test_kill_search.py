"""``kill -9`` of a trainer in the middle of a search loses no trial and repeats none."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from contracts.commands import RequestTraining
from contracts.events import TrainProgressed, TrialCompleted
from contracts.message import Message
from tests.support.probe import until
from tests.support.search_house import PATIENCE_S, RATES, begin, completed_search, two_classes
from tests.support.servers import Broker, Postgres, S3Server
from tests.support.trainer_house import TrainerHouse, said

pytestmark = [pytest.mark.integration, pytest.mark.faults]


@pytest.mark.parametrize("moment", [RequestTraining, TrainProgressed, TrialCompleted])
async def test_a_search_ends_with_each_trial_once_wherever_a_trainer_dies(
    moment: type[Message], broker: Broker, weed: S3Server, postgres: Postgres, tmp_path: Path
) -> None:
    await asyncio.to_thread(broker.provision)
    house = TrainerHouse(broker, weed, await asyncio.to_thread(postgres.new_database), tmp_path)
    packed = await asyncio.to_thread(two_classes, house, f"search-kill-{moment.__name__.lower()}")
    client = await broker.client("admin")
    js = client.jetstream(timeout=15)
    await house.hurry(js)

    async def reached() -> bool:
        return bool(await said(js, moment))

    async with house.trainer("dying") as dying, house.trainer("other"):
        await begin(js, packed, "search-killed")
        await until(reached, PATIENCE_S)
        os.kill(dying.pid, signal.SIGKILL)
        async with house.trainer("fresh"):
            told = await completed_search(js)
    await client.close()
    assert (told.trials, told.failed, told.pruned) == (len(RATES), 0, 0)
    assert told.best_options is not None
