"""The command line's NATS client on a real, provisioned broker, as user ``ops``."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from contracts.commands import RequestSnapshot
from contracts.events import DeadLetterReason, DeadLetterStored
from services.ops.clients.bus import Bus, open_bus
from services.ops.clients.dead_letters import DeadLetter, find, read_dead_letters, replay
from services.ops.clients.errors import OpsError, Unreachable
from services.ops.clients.requests import request_snapshot
from services.runtime.envelope import encode
from tests.support.servers import Broker

pytestmark = pytest.mark.integration

SUBJECT = RequestSnapshot.subject()


@pytest.fixture
async def house(broker: Broker) -> Broker:
    await asyncio.to_thread(broker.provision)
    return broker


@pytest.fixture
async def bus(house: Broker) -> AsyncIterator[Bus]:
    async with open_bus(house.url, house.passwords["ops"], patience_s=10) as opened:
        yield opened


def letter(body: bytes, *, seq: int = 1, truncated: bool = False, number: int = 1) -> DeadLetterStored:
    return DeadLetterStored(
        dead_letter_id=f"letter-{number}", service="ingest", durable="ingest-snapshots", source_subject=SUBJECT,
        source_stream="LIBRARY", source_seq=seq, source_message_id="old-id", reason=DeadLetterReason.MALFORMED,
        error="not JSON", attempts=1, headers={"Nats-Msg-Id": "old-id", "Nats-Expected-Stream": "LIBRARY", "ce-id": "x"},
        body_base64=base64.b64encode(body).decode(), truncated=truncated, stored_at=datetime.now(UTC),
    )  # fmt: skip


async def store(broker: Broker, message: DeadLetterStored) -> None:
    body, headers = encode(message, "ingest")
    client = await broker.client("ingest")
    await client.jetstream().publish(message.subject(), body, stream=message.stream(), headers=headers)
    await client.close()


async def library(bus: Bus) -> list[tuple[bytes | None, dict[str, str]]]:
    return [(raw.data, dict(raw.headers or {})) async for raw in bus.read("LIBRARY")]


async def test_a_request_that_is_sent_twice_is_stored_once_and_shows_in_the_backlog(bus: Bus) -> None:
    request = request_snapshot("ada")
    await bus.request(request)
    await bus.request(request)
    [(body, headers)] = await library(bus)
    assert json.loads(body or b"")["request_id"] == request.request_id
    assert headers["ce-source"] == "/menagerie/ops"
    assert (await bus.backlog())["ingest-snapshots"] == 1


async def test_a_request_survives_a_restart_of_the_broker(bus: Bus, house: Broker) -> None:
    house.kill()
    sending = asyncio.create_task(bus.request(request_snapshot("ada")))
    await asyncio.to_thread(house.start)
    await sending
    assert (await bus.backlog())["ingest-snapshots"] == 1


async def test_without_a_broker_the_sentence_says_what_to_do(house: Broker) -> None:
    house.kill()
    with pytest.raises(Unreachable, match="menagerie up"):
        async with open_bus(house.url, "secret"):
            pass


async def test_a_wrong_password_is_told_as_such(house: Broker) -> None:
    with pytest.raises(OpsError, match=r"(?i)authorization"):
        async with open_bus(house.url, "wrong"):
            pass


async def test_a_replay_sends_the_original_body_under_a_new_id_and_is_recorded(
    bus: Bus, house: Broker
) -> None:
    await store(house, letter(b"not json"))
    await store(house, letter(b"another", number=2))
    letters = await read_dead_letters(bus)
    assert [one.body for one in letters] == [b"not json", b"another"]
    with pytest.raises(OpsError, match="2 dead letters have an id that starts with 'letter'"):
        find(letters, "letter")
    await replay(bus, find(letters, "letter-1"), "ada", datetime.now(UTC))
    [(body, headers)] = await library(bus)
    assert body == b"not json"
    assert headers["Nats-Msg-Id"].startswith("replay-")
    assert headers["ce-id"] == "x"
    first, second = await read_dead_letters(bus)
    assert (first.replayed_by, second.replayed_at) == ("ada", None)
    await replay(bus, first, "ada", datetime.now(UTC))
    assert len(await library(bus)) == 2


async def test_one_replay_that_is_repeated_after_a_lost_answer_is_stored_once(bus: Bus) -> None:
    now = datetime.now(UTC)
    for _ in range(2):
        await replay(bus, DeadLetter(letter(b"{}")), "ada", now)
    assert len(await library(bus)) == 1


async def test_a_cut_body_is_fetched_whole_from_its_stream(bus: Bus) -> None:
    whole = b"x" * 700_000
    await bus.publish(SUBJECT, whole, "LIBRARY", {})
    await replay(bus, DeadLetter(letter(whole[:100], truncated=True)), "ada", datetime.now(UTC))
    assert [body for body, _ in await library(bus)] == [whole, whole]
    with pytest.raises(OpsError, match="gone from LIBRARY"):
        await replay(bus, DeadLetter(letter(b"x", seq=99, truncated=True)), "ada", datetime.now(UTC))


async def test_a_letter_from_elsewhere_is_not_replayed(bus: Bus) -> None:
    stranger = letter(b"{}").model_copy(update={"source_stream": "OTHER"})
    with pytest.raises(OpsError, match="'OTHER'"):
        await replay(bus, DeadLetter(stranger), "ada", datetime.now(UTC))


async def test_following_shows_what_is_said(bus: Bus) -> None:
    said = bus.follow("menagerie.v1.library.>")
    waiting = asyncio.create_task(anext(said))
    request = request_snapshot("ada")
    while not waiting.done():  # a subscription takes a moment to reach the server
        await bus.request(request)
        await bus.publish(SUBJECT, b"{}", "LIBRARY", {})
        await asyncio.wait([waiting], timeout=0.1)
    subject, _ = waiting.result()
    assert subject == SUBJECT
