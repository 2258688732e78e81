"""Dedup on a real broker, a real S3 server, SQLite and PostgreSQL."""

from __future__ import annotations

import io
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from nats.js import JetStreamContext
from PIL import Image

from contracts.commands import ResolveDuplicate, UndoDuplicate
from contracts.events import DeadLetterReason, ImageAccepted, ImageLabelled
from contracts.values import Box, DuplicateVerdict, LabelKind, Orientation, PairState
from deploy.migrate import config_for
from services.dedup.domain.fingerprint import DETECTOR, fingerprint
from services.runtime.database import make_engine
from tests.support.dedup_house import (
    AT,
    DURABLE,
    SIDE_PX,
    STREAM,
    DedupHouse,
    accepted,
    final,
    pairs_said,
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


def labelled(image: ImageAccepted, revision: int, kind: LabelKind) -> ImageLabelled:
    return ImageLabelled(
        image_id=image.image_id, revision=revision, label="otter", kind=kind, by="ann", labelled_at=AT
    )


async def test_a_rejected_image_gives_way_and_comes_back(house: DedupHouse, js: JetStreamContext) -> None:
    pngs = [picture(7), picture(7, noise=4)]
    house.put(*pngs)
    first, second = (accepted(n, png) for n, png in enumerate(pngs))

    def final_is(verdict: DuplicateVerdict) -> Callable[[], Awaitable[bool]]:
        async def so() -> bool:
            said = final(await verdicts_said(js))
            return second.image_id in said and said[second.image_id].verdict is verdict

        return so

    async with house.running():
        await say(js, first, second)
        await until(final_is(DuplicateVerdict.NEAR))
        await say(js, labelled(first, 1, LabelKind.REJECTED))
        await until(final_is(DuplicateVerdict.UNIQUE))
        await say(js, labelled(first, 2, LabelKind.CLASS))
        await until(final_is(DuplicateVerdict.NEAR))


async def test_a_person_s_word_is_waited_with_until_the_images_are_heard_of_and_an_undo_takes_it_back(
    house: DedupHouse, js: JetStreamContext
) -> None:
    pngs = [picture(1), picture(2)]
    house.put(*pngs)
    one, other = (accepted(n, png) for n, png in enumerate(pngs))
    word = ResolveDuplicate(
        request_id="request-1",
        image_id=one.image_id,
        other_id=other.image_id,
        keep=other.image_id,
        by="ann",
        requested_at=AT,
    )

    async def states() -> list[PairState]:
        return [event.state for event in await pairs_said(js)]

    async def decided() -> bool:
        return await states() == [PairState.DUPLICATE]

    async def undone() -> bool:
        return await states() == [PairState.DUPLICATE, PairState.CLOSED]

    async with house.running(retry_delays_s=(0.2,) * 100):
        await say(js, word)
        await say(js, one, other)
        await until(decided)
        assert final(await verdicts_said(js))[one.image_id].duplicate_of == other.image_id
        await say(js, UndoDuplicate(request_id="request-2", undoes="request-1", by="ann", requested_at=AT))
        await until(undone)
    assert await dead_letters(js) == []


async def test_what_cannot_be_undone_is_a_dead_letter_with_the_reason(
    house: DedupHouse, js: JetStreamContext
) -> None:
    async def buried() -> bool:
        return len(await dead_letters(js)) == 1

    async with house.running(retry_delays_s=(0.05,)):
        await say(js, UndoDuplicate(request_id="request-2", undoes="never", by="ann", requested_at=AT))
        await until(buried)
    [letter] = await dead_letters(js)
    assert "nothing was resolved under request_id 'never'" in letter.error


async def test_what_the_release_before_stored_survives_the_migration_and_is_still_found(
    house: DedupHouse, js: JetStreamContext
) -> None:
    old, copy, mirrored = picture(7), picture(7, noise=4), turned(picture(7))
    house.put(copy, mirrored)
    migrate_to("dedup", house.database_url, "0001")
    made = fingerprint(old, accepted(1, old).content)
    engine = make_engine(house.database_url)
    with engine.begin() as connection:
        insert = (
            "INSERT INTO fingerprint (image_id, position, rank, hash, detector) VALUES (:i, 1, :r, :h, :d)"
        )
        row = {"i": accepted(1, old).image_id, "r": "upload-000001", "h": made.hash, "d": DETECTOR}
        connection.execute(sa.text(insert), row)
        connection.execute(
            sa.text(
                "INSERT INTO verdict (image_id, revision, verdict, group_id) VALUES (:i, 1, 'unique', :i)"
            ),
            {"i": row["i"]},
        )
        connection.execute(sa.text("INSERT INTO calibration VALUES (:d, 72)"), {"d": DETECTOR})
    engine.dispose()
    async with house.running():
        await say(js, accepted(2, copy), accepted(3, mirrored))
        await until_said(js, 2)
    verdicts = final(await verdicts_said(js))
    assert [verdicts[accepted(n, old).image_id].duplicate_of for n in (2, 3)] == [row["i"]] * 2
    assert verdicts[accepted(3, old).image_id].orientation is Orientation.FLIP_LEFT_RIGHT
    assert row["i"] not in verdicts


def turned(png: bytes) -> bytes:
    sink = io.BytesIO()
    Image.open(io.BytesIO(png)).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(sink, "PNG")
    return sink.getvalue()


def migrate_to(service: str, url: str, revision: str) -> None:
    """As the release of then."""
    command.upgrade(config_for(service, url), revision)
