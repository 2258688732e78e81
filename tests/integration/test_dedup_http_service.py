"""The real service on a real broker and a real S3 server: decisions over HTTP, and what the log says of them."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from nats.js import JetStreamContext

from contracts.commands import ResolveDuplicate
from contracts.events import PairJudged
from contracts.values import PairState
from services.runtime.service import Service
from tests.support.dedup_house import AT, DedupHouse, accepted, picture
from tests.support.ingest_service import said
from tests.support.probe import say, until
from tests.support.servers import Broker, S3Server

pytestmark = pytest.mark.integration

TOKEN = "correct horse"


def opened(service: Service) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(service.asgi()),
        base_url="http://dedup",
        headers={"Authorization": f"Bearer {TOKEN}"},
    )


async def judged(js: JetStreamContext) -> list[PairState]:
    return [event.state for event in await said(js) if isinstance(event, PairJudged)]


@pytest.fixture
def house(broker: Broker, weed: S3Server, database_url: str, tmp_path: Path) -> DedupHouse:
    broker.provision()
    return DedupHouse(broker, weed, database_url, tmp_path / "work")


async def test_a_decision_over_http_is_said_and_outlives_the_process(house: DedupHouse) -> None:
    original, copy = picture(1), picture(1, noise=4)
    house.put(original, copy)
    messages = [accepted(1, original), accepted(2, copy)]
    one, other = (message.image_id for message in messages)
    connection = await house.broker.client("admin")
    js = connection.jetstream(timeout=15)
    word = ResolveDuplicate(request_id="step-1", image_id=one, other_id=other, by="ann", requested_at=AT)
    async with house.running(api_token=TOKEN) as service, opened(service) as client:
        await say(js, *messages)

        async def known() -> bool:
            return (await client.get(f"/api/v1/images/{other}")).status_code == 200

        await until(known)
        found = (await client.get(f"/api/v1/images/{other}")).json()
        assert (found["verdict"], found["duplicate_of"]) == ("near", one)
        body = {"request_id": "step-1", "image_id": one, "other_id": other, "by": "ann"}
        answer = await client.post("/api/v1/commands/duplicate.resolve", json=body)
        assert (answer.status_code, answer.json()["state"]) == (200, "not-duplicate")
        await say(js, word)  # the same request once more, as a message

        async def heard() -> bool:
            state = await js.consumer_info("LIBRARY", "dedup-resolutions")
            return state.num_pending == state.num_ack_pending == 0

        await until(heard)
    async with house.running(api_token=TOKEN) as service, opened(service) as client:
        found = (await client.get(f"/api/v1/images/{other}")).json()
        assert (found["verdict"], [pair["state"] for pair in found["pairs"]]) == ("unique", ["not-duplicate"])
        client.headers["Authorization"] = "Bearer wrong"
        assert (await client.get(f"/api/v1/images/{other}")).status_code == 401
        assert (await client.get("/health/live")).status_code == 200
    assert await judged(js) == [PairState.NOT_DUPLICATE]
    await connection.close()
