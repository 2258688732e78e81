"""What becomes of a run whose message is put aside: it is told as failed, and goes on when sent again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from nats.js import JetStreamContext

from contracts.commands import RequestTraining
from contracts.events import ModelTrained, SearchCompleted, TrainFailed
from services.runtime.envelope import encode
from tests.support.digit_library import DigitLibrary
from tests.support.probe import dead_letters, say, until
from tests.support.search_house import small_search, two_classes
from tests.support.servers import Broker, Postgres, S3Server
from tests.support.trainer_house import STREAM, TrainerHouse, said, training

pytestmark = pytest.mark.integration

PATIENCE_S = 400.0
IMPATIENT: dict[str, Any] = {"retry_delays_s": (0.05,)}
"""Two attempts."""


@pytest.fixture
async def house(broker: Broker, weed: S3Server, postgres: Postgres, tmp_path: Path) -> TrainerHouse:
    await asyncio.to_thread(broker.provision)
    return TrainerHouse(broker, weed, postgres.new_database(), tmp_path, child="tests.support.faulty_child")


@pytest.fixture
async def js(house: TrainerHouse) -> AsyncIterator[JetStreamContext]:
    client = await house.broker.client("admin")
    yield client.jetstream(timeout=15)
    await client.close()


async def test_a_run_that_is_given_up_is_told_as_failed_and_trains_when_its_message_is_replayed(
    house: TrainerHouse, js: JetStreamContext
) -> None:
    packed = DigitLibrary(house.store, "given-up", "01", 20).packed()
    asked = training("run-given-up", packed)

    async def failed() -> bool:
        return bool(await said(js, TrainFailed))

    async def trained() -> bool:
        return bool(await said(js, ModelTrained))

    async with house.trainer(settings=IMPATIENT):
        await say(js, packed, asked)
        await until(failed, PATIENCE_S)
    (letter,), (told,) = await dead_letters(js), await said(js, TrainFailed)
    assert told.run_id == "run-given-up"
    assert told.error == "given up after 2 attempts: NotYet: MaxRetryError: the store is away"
    assert told.remedy == (
        f"mend the cause, then `menagerie dead-letters replay {letter.dead_letter_id}`: "
        "the run goes on where it stopped"
    )
    house.child = "tests.support.light_child"
    async with house.trainer():
        body, headers = encode(asked, "test")
        await js.publish(
            asked.subject(), body, stream=STREAM, headers=headers | {"Nats-Msg-Id": "replay-of-it"}
        )
        await until(trained, PATIENCE_S)
    assert [model.run_id for model in await said(js, ModelTrained)] == ["run-given-up"]
    assert len(await said(js, TrainFailed)) == 1


async def test_a_search_goes_on_without_a_trial_that_is_given_up_and_fails_if_it_cannot_begin(
    house: TrainerHouse, js: JetStreamContext
) -> None:
    packed = two_classes(house, "given-up-search")

    async def over() -> bool:
        return {"search-lost", "search-nowhere"} <= {failed.run_id for failed in await said(js, TrainFailed)}

    async with house.trainer(settings=IMPATIENT):
        await say(js, packed, small_search("search-nowhere", "no-such-snapshot"))
        await say(js, small_search("search-lost", packed.snapshot_id))
        await until(over, PATIENCE_S)
    failed = {one.run_id: one for one in await said(js, TrainFailed)}
    asked = [one.run_id for one in await said(js, RequestTraining)]
    assert asked[:3] == ["search-lost-t000", "search-lost-t001", "search-lost-t002"]
    assert {*asked[:3]} < {*failed}
    assert failed["search-lost"].error.startswith("all trials failed alike: given up after 2 attempts")
    assert failed["search-lost"].remedy == "mend the cause, then search again"
    assert failed["search-nowhere"].error == (
        "given up after 2 attempts: NotYet: snapshot 'no-such-snapshot' is not known to the trainer (yet)"
    )
    assert await said(js, SearchCompleted) == []
