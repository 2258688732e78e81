"""Dedup on a real broker, a real S3 server, SQLite and PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nats.js import JetStreamContext

from contracts.events import DeadLetterReason, ImageAccepted
from contracts.values import Box, DuplicateVerdict
from tests.support.dedup_house import (
    DURABLE,
    SIDE_PX,
    STREAM,
    DedupHouse,
    accepted,
    final,
    picture,
    verdicts_said,
)
from tests.support.probe import dead_letters, say, until, until_quiet
from tests.support.servers import Broker, S3Server

pytestmark = pytest.mark.integration


@pytest.fixture
def house(broker: Broker, weed: S3Server, database_url: str, tmp_path: Path) -> DedupHouse:
    broker.provision()
    return DedupHouse(broker, weed, database_url, tmp_path / "work")


@pytest.fixture
async def js(house: DedupHouse) -> AsyncIterator[JetStreamContext]:
    client = await house.broker.client("admin")
    yield client.jetstream(timeout=15)
    await client.close()


async def until_said(js: JetStreamContext, count: int) -> None:
    async def enough() -> bool:
        return len(await verdicts_said(js)) >= count

    await until(enough)


async def test_copies_are_near_and_everything_else_is_unique(house: DedupHouse, js: JetStreamContext) -> None:
    originals = [picture(seed) for seed in range(20)]
    copies = [picture(seed, noise=4) for seed in range(5)]
    house.put(*originals, *copies)
    messages = [accepted(n, png) for n, png in enumerate(originals + copies)]
    async with house.running():
        await say(js, *messages)
        await until_said(js, 25)
        await until_quiet(js, DURABLE, STREAM)
    verdicts = final(await verdicts_said(js))
    near = [messages[20 + n].image_id for n in range(5)]
    assert sorted(v.image_id for v in verdicts.values() if v.verdict is DuplicateVerdict.NEAR) == sorted(near)
    assert [verdicts[near[n]].duplicate_of for n in range(5)] == [messages[n].image_id for n in range(5)]
    assert [verdicts[near[n]].group for n in range(5)] == [messages[n].image_id for n in range(5)]


async def test_a_message_that_comes_again_says_nothing_new(house: DedupHouse, js: JetStreamContext) -> None:
    png = picture(1)
    house.put(png)
    async with house.running():
        await say(js, accepted(1, png))
        await until_said(js, 1)
        # Another id, as after the broker's window: the handler really sees it again.
        again = accepted(1, png)
        await js.publish(again.subject(), again.model_dump_json().encode(), stream=STREAM)
        await until_quiet(js, DURABLE, STREAM)
    assert len(await verdicts_said(js)) == 1


async def test_a_missing_object_waits_while_its_neighbours_flow_and_is_judged_when_it_is_there(
    house: DedupHouse, js: JetStreamContext
) -> None:
    unseen = uuid.uuid4().int % 2**32  # the store is shared: nobody else may have put this one
    pngs = [picture(seed) for seed in (unseen, 1, 2, 3, 4, 5)]
    house.put(*pngs[1:])
    messages: list[ImageAccepted] = [accepted(n, png) for n, png in enumerate(pngs)]
    async with house.running(retry_delays_s=(0.2,) * 100):
        await say(js, *messages)
        await until_said(js, 5)
        assert messages[0].image_id not in final(await verdicts_said(js))
        house.put(pngs[0])
        await until_said(js, 6)
    assert await dead_letters(js) == []


async def test_a_box_outside_the_image_is_a_dead_letter_and_costs_its_neighbours_nothing(
    house: DedupHouse, js: JetStreamContext
) -> None:
    pngs = [picture(seed) for seed in range(4)]
    house.put(*pngs)
    bad = accepted(0, pngs[0], content=Box(left=1, top=0, width=SIDE_PX, height=1))
    async with house.running():
        await say(js, bad, *(accepted(n, pngs[n]) for n in (1, 2, 3)))
        await until_said(js, 3)
        await until_quiet(js, DURABLE, STREAM)
        [letter] = await dead_letters(js)
    assert letter.reason is DeadLetterReason.MALFORMED
    assert "reaches outside the 64 x 64 image" in letter.error


async def test_a_restart_knows_what_was_judged_and_an_earlier_upload_revises_it(
    house: DedupHouse, js: JetStreamContext
) -> None:
    late, early = picture(7), picture(7, noise=4)
    house.put(late, early)
    async with house.running():
        await say(js, accepted(2, late))
        await until_said(js, 1)
    async with house.running():
        await say(js, accepted(1, early))
        await until_said(js, 3)
    verdicts = final(await verdicts_said(js))
    first, second = accepted(1, early).image_id, accepted(2, late).image_id
    assert (verdicts[first].verdict, verdicts[first].revision) == (DuplicateVerdict.UNIQUE, 1)
    assert (verdicts[second].duplicate_of, verdicts[second].revision) == (first, 2)


async def test_a_changed_distance_is_applied_at_the_next_start(
    house: DedupHouse, js: JetStreamContext
) -> None:
    one, other = picture(7), picture(7, noise=4)
    house.put(one, other)
    async with house.running(max_distance_bits=0):
        await say(js, accepted(1, one), accepted(2, other))
        await until_said(js, 2)
    assert {v.verdict for v in await verdicts_said(js)} == {DuplicateVerdict.UNIQUE}
    async with house.running(max_distance_bits=72):
        await until_said(js, 3)
    assert final(await verdicts_said(js))[accepted(2, other).image_id].verdict is DuplicateVerdict.NEAR
