"""Every command of the library over HTTP: its outcome, told again to a retry, and its refusals."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy.exc import IntegrityError

from contracts.commands import AssignLabel, RequestReconcile, RequestSnapshot
from contracts.subjects import CONSUMERS, PUBLISHES
from services.ingest.actions.perform import ACTIONS
from services.ingest.http.application import create_http
from services.ingest.store import requests
from services.ingest.store import uploads as upload_rows
from tests.support.ingest_house import House
from tests.support.label_desk import ask, hear, of_kind, stock
from tests.support.pictures import encoded, noise

TOKEN = "correct horse"
NOWHERE = "f" * 64


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(f"sqlite:///{tmp_path}/ingest.sqlite", tmp_path / "work")
    yield made
    made.close()


@pytest.fixture
async def client(house: House) -> AsyncIterator[httpx.AsyncClient]:
    settings = house.settings.model_copy(update={"api_token": SecretStr(TOKEN)})
    transport = httpx.ASGITransport(
        create_http(house.reception, house.database, settings, house.store), raise_app_exceptions=False
    )
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest", headers=headers) as client:
        yield client


async def post(client: httpx.AsyncClient, name: str, **fields: Any) -> httpx.Response:
    return await client.post(f"/api/v1/commands/{name}", json={"by": "ann", **fields})


def test_every_command_that_ingest_hears_can_be_given_over_http() -> None:
    heard = {name for item in CONSUMERS if item.service == "ingest" for name in item.names}
    said_by_people = heard & set(PUBLISHES["ops"])
    assert {kind.name for kind in ACTIONS} == said_by_people


async def test_each_command_is_done_when_answered_and_a_retry_is_told_the_same(
    house: House, client: httpx.AsyncClient
) -> None:
    one, other = await stock(house, 2)
    steps: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("label.assign", {"image_id": one, "label": "otter"}, {"changed": 1}),
        ("label.assign-many", {"image_ids": [one, other], "label": "lion"}, {"changed": 2}),
        ("label.undo", {"change_id": "step-1"}, {"changed": 2, "left": 0}),
        (
            "label.give-opinion",
            {"image_id": one, "label": "lion"},
            {"agrees": False, "current_label": "otter"},
        ),
        ("label.double-check", {"image_ids": [one], "reason": "odd"}, {"changed": 1}),
        ("label.double-checked", {"image_ids": [one, other]}, {"changed": 1}),
        ("benchmark.assign", {"image_ids": [other], "benchmark": "difficult"}, {"changed": 1}),
        ("library.snapshot-requested", {}, {"queued": True}),
        ("library.reconcile-requested", {}, {"queued": True}),
    ]
    for number, (name, fields, expected) in enumerate(steps):
        answer = await post(client, name, request_id=f"step-{number}", **fields)
        assert (answer.status_code, answer.json()) == (200, {"request_id": f"step-{number}", **expected}), (
            name
        )
    before = await house.said(), await house.rows()
    for number, (name, fields, expected) in enumerate(steps):
        answer = await post(client, name, request_id=f"step-{number}", **fields)
        assert answer.json() == {"request_id": f"step-{number}", **expected}
    assert (await house.said(), await house.rows()) == before
    sets = (await client.get("/api/v1/benchmarks")).json()["benchmarks"]
    assert sets[0] == {"benchmark": "difficult", "images": 1, "labels": 0}


async def test_long_work_is_queued_as_the_message_it_is(house: House, client: httpx.AsyncClient) -> None:
    for _ in range(2):
        await post(client, "library.snapshot-requested", request_id="pack-0001")
        await post(client, "library.reconcile-requested", request_id="look-0001")
    said = await house.said()
    assert [m.request_id for m in of_kind(said, RequestSnapshot)] == ["pack-0001"]
    assert [(m.request_id, m.by) for m in of_kind(said, RequestReconcile)] == [("look-0001", "ann")]


async def test_a_command_is_one_whether_it_comes_as_a_message_or_over_http(
    house: House, client: httpx.AsyncClient
) -> None:
    [image_id] = await stock(house, 1)
    await hear(house, ask(AssignLabel, "request-1", image_id=image_id, label="otter"))
    answer = await post(client, "label.assign", request_id="request-1", image_id=image_id, label="otter")
    assert answer.json() == {"request_id": "request-1", "changed": 1}
    assert await house.history() == [(None, "otter")]


async def test_a_command_without_an_id_gets_one(house: House, client: httpx.AsyncClient) -> None:
    [image_id] = await stock(house, 1)
    done = (await post(client, "label.assign", image_id=image_id, label="otter")).json()
    undone = await post(client, "label.undo", change_id=done["request_id"])
    assert undone.json()["changed"] == 1


@pytest.mark.parametrize(
    ("name", "fields", "status", "detail"),
    [
        ("label.assing", {}, 404, "label.assign,"),
        ("train.requested", {}, 404, "no command"),
        ("label.assign", {"image_id": NOWHERE, "label": "otter"}, 404, NOWHERE),
        ("label.assign", {"image_id": NOWHERE, "label": " "}, 422, "label"),
        ("label.assign", {"image_id": "../etc", "label": "otter"}, 422, "image_id"),
        ("label.assign-many", {"image_ids": [], "label": "otter"}, 422, "image_ids"),
        ("label.assign-many", {"image_ids": [NOWHERE] * 1001, "label": "otter"}, 422, "image_ids"),
        ("label.undo", {"change_id": "never"}, 404, "never"),
        ("label.double-check", {"image_ids": [NOWHERE]}, 422, "reason"),
        ("label.double-checked", {"image_ids": [NOWHERE], "verdict": "remove"}, 422, "verdict"),
        ("benchmark.assign", {"image_ids": [NOWHERE], "benchmark": ""}, 422, "benchmark"),
        ("benchmark.assign", {"image_ids": [NOWHERE]}, 422, "benchmark"),
        ("label.assign", {"padding": "x" * 2**20}, 413, "split"),
    ],
)
async def test_what_cannot_be_done_is_refused_with_a_sentence(
    house: House, client: httpx.AsyncClient, name: str, fields: dict[str, Any], status: int, detail: str
) -> None:
    answer = await post(client, name, **fields)
    assert answer.status_code == status
    assert detail in answer.json()["detail"]
    assert await house.said() == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"by": "\\ud800"}', b"\xff\xfe"])
async def test_a_body_that_is_no_command_is_refused(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post("/api/v1/commands/label.assign", content=body)
    assert answer.status_code == 422


async def test_an_id_that_was_used_for_another_command_is_a_conflict(
    house: House, client: httpx.AsyncClient
) -> None:
    [image_id] = await stock(house, 1)
    await post(client, "label.assign", request_id="request-1", image_id=image_id, label="otter")
    answer = await post(client, "library.snapshot-requested", request_id="request-1")
    assert answer.status_code == 409
    assert "label.assign" in answer.json()["detail"]


async def test_an_image_that_waits_to_be_decoded_asks_for_patience(
    house: House, client: httpx.AsyncClient
) -> None:
    waiting = house.put("upload-9999", encoded(noise(9, 9, 99)))
    await house.database.run(lambda unit: upload_rows.add_uploads(unit.connection, [waiting]))
    answer = await post(client, "label.assign", image_id=waiting.object.sha256, label="otter")
    assert (answer.status_code, answer.headers["retry-after"]) == (409, "1")


async def test_without_the_token_nothing_is_done(house: House, client: httpx.AsyncClient) -> None:
    [image_id] = await stock(house, 1)
    client.headers["Authorization"] = "Bearer wrong"
    answer = await post(client, "label.assign", image_id=image_id, label="otter")
    assert answer.status_code == 401
    assert (await client.get("/api/v1/benchmarks")).status_code == 401
    assert await house.history() == []


async def test_who_loses_a_race_for_the_same_request_is_told_the_winners_outcome(
    house: House, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    [image_id] = await stock(house, 1)
    kept = requests.keep_outcome
    lost: list[str] = []

    def lose_once(*args: Any) -> None:
        if not lost:
            lost.append("a race")
            raise IntegrityError("another replica", None, Exception())
        kept(*args)

    monkeypatch.setattr(requests, "keep_outcome", lose_once)
    answer = await post(client, "label.assign", image_id=image_id, label="otter")
    assert (answer.status_code, answer.json()["changed"]) == (200, 1)
    assert await house.history() == [(None, "otter")]
