"""``kill -9`` of a dedup process at every point of search-insert-publish, and two processes at once."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from nats.js import JetStreamContext

from contracts.events import ImageAccepted, ImageDeduplicated, ImageLabelled
from contracts.values import DuplicateVerdict, LabelKind
from services.dedup.domain.alike import Limits
from services.dedup.domain.fingerprint import fingerprint
from services.dedup.store.images import Arrival
from tests.support.dedup_desk import Desk, database
from tests.support.dedup_house import (
    DURABLE,
    STREAM,
    DedupHouse,
    accepted,
    final,
    hurry,
    picture,
    verdicts_said,
)
from tests.support.probe import dead_letters, say, until
from tests.support.servers import Broker, S3Server

pytestmark = pytest.mark.integration

PATIENCE_S = 90.0
ORIGINALS = 24
PNGS = [picture(seed, noise) for seed in range(ORIGINALS) for noise in (0, 4)]
MESSAGES: list[ImageAccepted] = [accepted(n, png) for n, png in enumerate(PNGS)]
Verdict = tuple[DuplicateVerdict, str, str | None]


@pytest.fixture
async def house(broker: Broker, weed: S3Server, database_url: str, tmp_path: Path) -> DedupHouse:
    await asyncio.to_thread(broker.provision)
    made = DedupHouse(broker, weed, database_url, tmp_path)
    made.put(*PNGS)
    return made


@pytest.fixture
async def js(house: DedupHouse) -> AsyncIterator[JetStreamContext]:
    client = await house.broker.client("admin")
    yield client.jetstream(timeout=15)
    await client.close()


def undisturbed(messages: list[ImageAccepted], *rejected: str) -> dict[str, Verdict]:
    """The verdicts of a run in which nothing happens."""
    arrivals = [Arrival.of(m, fingerprint(PNGS[MESSAGES.index(m)], m.content)) for m in messages]
    with database() as engine:
        desk = Desk(engine, limits=Limits())
        desk.accept(*arrivals)
        desk.label(*((image_id, LabelKind.REJECTED) for image_id in rejected))
        return {i: (v.verdict, v.group, v.duplicate_of) for i, v in desk.verdicts().items()}


def shown(said: list[ImageDeduplicated]) -> dict[str, Verdict]:
    return {i: (v.verdict, v.group, v.duplicate_of) for i, v in final(said).items()}


async def until_judged(js: JetStreamContext, expected: dict[str, Verdict]) -> None:
    """Until the log ends in these verdicts, and each revision of each image is in it once."""

    async def quiet() -> bool:
        info = await js.consumer_info(STREAM, DURABLE)
        return info.num_pending == 0 and info.num_ack_pending == 0

    async def judged() -> bool:
        return shown(await verdicts_said(js)) == expected

    await until(quiet, PATIENCE_S)
    await until(judged, PATIENCE_S)
    said = await verdicts_said(js)
    revisions = Counter((event.image_id, event.revision) for event in said)
    assert set(revisions.values()) == {1}
    for image_id, event in final(said).items():
        assert {r for i, r in revisions if i == image_id} == set(range(1, event.revision + 1))
    assert await dead_letters(js) == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("point", "count"), [("search", 2), ("commit", 1), ("publish", 20), ("ack", 1)])
async def test_no_image_is_without_verdict_and_none_has_two_wherever_the_process_dies(
    house: DedupHouse, js: JetStreamContext, point: str, count: int
) -> None:
    await hurry(js)
    await say(js, *MESSAGES[::2])
    async with house.process(point, str(count)) as dying:
        await say(js, *MESSAGES[1::2])
        assert await asyncio.wait_for(dying.wait(), PATIENCE_S) == -signal.SIGKILL
    async with house.process():
        await until_judged(js, undisturbed(MESSAGES))


async def test_what_arrives_on_two_processes_at_the_same_moment_is_found(
    house: DedupHouse, js: JetStreamContext
) -> None:
    async with house.process(name="one"), house.process(name="other"):
        await asyncio.gather(*(say(js, message) for message in MESSAGES))
        await until_judged(js, undisturbed(MESSAGES))


async def test_when_the_active_process_dies_in_a_transaction_the_other_goes_on(
    house: DedupHouse, js: JetStreamContext
) -> None:
    await hurry(js)
    rejected = MESSAGES[0].image_id
    async with house.process("search", "3", name="one") as dying, house.process(name="other"):
        await say(js, *MESSAGES[:6])
        label = ImageLabelled(
            image_id=rejected,
            revision=1,
            label="rejected",
            kind=LabelKind.REJECTED,
            by="ann",
            labelled_at=datetime(2026, 11, 22, tzinfo=UTC),
        )
        await say(js, label)
        for message in MESSAGES[6:]:
            await say(js, message)
        if dying.returncode is None:
            dying.send_signal(signal.SIGKILL)  # the other was so quick that this one had nothing to search
        assert await asyncio.wait_for(dying.wait(), PATIENCE_S) == -signal.SIGKILL
        await until_judged(js, undisturbed(MESSAGES, rejected))
