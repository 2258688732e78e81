"""What people decide of duplicates over HTTP: its outcome, told again to a retry, and its refusals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from contracts.commands import ResolveDuplicate, UndoDuplicate
from contracts.events import ImageDeduplicated, PairJudged
from contracts.message import Message
from contracts.subjects import CONSUMERS, PUBLISHES
from services.dedup.store import metadata, tables
from services.runtime.envelope import decode
from services.runtime.tables import outbox_table
from tests.support.dedup_model import image
from tests.support.duplicate_desk import DedupHouse
from tests.support.ingest_house import AT

TOKEN = "correct horse"
NOWHERE = "f" * 64
FIRST, SECOND, THIRD = (image(number, 0) for number in range(3))
"""Nothing tells them apart but their ids."""
ONE, TWO = FIRST.image_id, SECOND.image_id


@pytest.fixture
def house(database_url: str, tmp_path: Path) -> Iterator[DedupHouse]:
    made = DedupHouse(database_url, tmp_path, TOKEN)
    yield made
    made.close()


@pytest.fixture
async def client(house: DedupHouse) -> AsyncIterator[httpx.AsyncClient]:
    await house.database.run(lambda unit: house.judging.accept(unit, [FIRST, SECOND, THIRD], AT))
    transport = httpx.ASGITransport(house.app, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://dedup", headers=headers) as client:
        yield client


async def post(client: httpx.AsyncClient, name: str, **fields: Any) -> httpx.Response:
    return await client.post(f"/api/v1/commands/{name}", json={"by": "ann", **fields})


def said(house: DedupHouse) -> list[Message]:
    """Every event of committed transactions, in order."""
    table = outbox_table(metadata)
    with house.database.engine.connect() as connection:
        query = sa.select(table.c.subject, table.c.body).order_by(table.c.outbox_id)
        return [decode(row.subject, row.body) for row in connection.execute(query)]


def test_every_word_of_people_that_dedup_hears_can_be_given_over_http() -> None:
    heard = {name for item in CONSUMERS if item.service == "dedup" for name in item.names}
    assert heard & set(PUBLISHES["ops"]) == {ResolveDuplicate.name, UndoDuplicate.name}


async def test_a_decision_is_done_when_answered_and_a_retry_is_told_the_same(
    house: DedupHouse, client: httpx.AsyncClient
) -> None:
    fields = {"request_id": "step-1", "image_id": TWO, "other_id": ONE, "keep": TWO, "reason": "sharper"}
    before = len(said(house))
    answer = await post(client, "duplicate.resolve", **fields)
    told = answer.json()
    assert (answer.status_code, told["request_id"], told["state"], told["keep"]) == (
        200,
        "step-1",
        "duplicate",
        TWO,
    )
    events = said(house)[before:]
    assert {type(event) for event in events} == {ImageDeduplicated, PairJudged}
    kept = (await client.get(f"/api/v1/images/{ONE}")).json()
    assert (kept["verdict"], kept["duplicate_of"], kept["by"]) == ("near", TWO, "ann")
    again = await post(client, "duplicate.resolve", **fields)
    assert again.json() == told
    assert said(house)[before:] == events
    undone = await post(client, "duplicate.undo", request_id="step-2", undoes="step-1")
    assert (undone.status_code, undone.json()["request_id"]) == (200, "step-2")
    [pair] = (await client.get("/api/v1/pairs")).json()["pairs"]
    assert (pair["state"], pair["by"], pair["keep"]) == ("closed", None, None)
    assert (await client.get(f"/api/v1/images/{TWO}")).json()["duplicate_of"] == ONE


async def test_a_decision_without_an_id_gets_one_that_undoes_it(client: httpx.AsyncClient) -> None:
    done = (await post(client, "duplicate.resolve", image_id=ONE, other_id=TWO)).json()
    assert (done["state"], done["keep"]) == ("not-duplicate", None)
    undone = await post(client, "duplicate.undo", undoes=done["request_id"])
    assert undone.status_code == 200


@pytest.mark.parametrize(
    ("name", "fields", "status", "detail"),
    [
        ("duplicate.resolv", {}, 404, "duplicate.resolve"),
        ("label.assign", {}, 404, "no command"),
        ("../../etc", {}, 404, "Not Found"),
        ("duplicate.resolve", {"image_id": ONE, "other_id": NOWHERE}, 404, NOWHERE),
        ("duplicate.resolve", {"image_id": ONE, "other_id": ONE}, 422, "two images"),
        (
            "duplicate.resolve",
            {"image_id": ONE, "other_id": TWO, "keep": THIRD.image_id},
            422,
            "keep must be",
        ),
        ("duplicate.resolve", {"image_id": ONE, "other_id": "<b>"}, 422, "other_id"),
        ("duplicate.resolve", {"image_id": ONE}, 422, "other_id"),
        ("duplicate.resolve", {"image_id": ONE, "other_id": TWO, "by": ""}, 422, "by"),
        ("duplicate.undo", {"undoes": "never"}, 404, "never"),
        ("duplicate.undo", {"undoes": "?"}, 422, "undoes"),
        ("duplicate.undo", {"padding": "x" * 2**20}, 413, "split"),
    ],
)
async def test_what_cannot_be_done_is_refused_with_a_sentence(
    house: DedupHouse, client: httpx.AsyncClient, name: str, fields: dict[str, Any], status: int, detail: str
) -> None:
    before = said(house)
    answer = await post(client, name, **fields)
    assert answer.status_code == status
    assert detail in answer.json()["detail"]
    assert said(house) == before


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"by": "\\ud800"}', b"\xff\xfe", b"null"])
async def test_a_body_that_is_no_command_is_refused(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post("/api/v1/commands/duplicate.resolve", content=body)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("duplicate.resolve: ")


async def test_conflicts_are_told_as_conflicts(client: httpx.AsyncClient) -> None:
    await post(client, "duplicate.resolve", request_id="step-1", image_id=ONE, other_id=TWO)
    reused = await post(client, "duplicate.undo", request_id="step-1", undoes="step-1")
    assert (reused.status_code, "duplicate.resolve" in reused.json()["detail"]) == (409, True)
    await post(client, "duplicate.undo", request_id="step-2", undoes="step-1")
    twice = await post(client, "duplicate.undo", request_id="step-3", undoes="step-1")
    assert (twice.status_code, "step-2" in twice.json()["detail"]) == (409, True)


async def test_the_same_request_ten_times_at_once_is_one_decision(
    house: DedupHouse, client: httpx.AsyncClient
) -> None:
    fields = {"request_id": "step-1", "image_id": ONE, "other_id": TWO, "keep": TWO}
    answers = await asyncio.gather(*(post(client, "duplicate.resolve", **fields) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    with house.database.engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.resolution)) == 1
    assert [event.state for event in said(house) if isinstance(event, PairJudged)] == ["duplicate"]


@pytest.mark.parametrize(
    "text", ["nul \0 byte", "\u202e", "'; DROP TABLE pair; --", "\N{LION FACE}" * 50, "two\nlines"]
)
async def test_hostile_words_of_people_are_kept_as_text(client: httpx.AsyncClient, text: str) -> None:
    answer = await post(
        client, "duplicate.resolve", image_id=ONE, other_id=TWO, reason=text, by=f"a{text}"[:200]
    )
    assert answer.status_code == 200
    [pair] = (await client.get("/api/v1/pairs")).json()["pairs"]
    assert pair["reason"] == text.strip().replace("\0", "\N{REPLACEMENT CHARACTER}")


async def test_what_nobody_foresaw_tells_no_secret(house: DedupHouse, client: httpx.AsyncClient) -> None:
    with house.database.engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE handled_request"))
    answer = await post(client, "duplicate.resolve", image_id=ONE, other_id=TWO)
    assert answer.status_code == 503
    assert "handled_request" not in answer.text
