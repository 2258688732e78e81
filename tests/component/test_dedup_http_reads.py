"""What dedup says over HTTP of pairs, of one image and of its group."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict
from itertools import islice
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from services.dedup.domain.thresholds import Threshold
from services.dedup.http.application import create_http
from services.dedup.settings import DedupSettings
from services.dedup.store import metadata
from services.dedup.store.vectors import save_thresholds
from services.runtime.database import Database
from tests.support.pair_rows import image_id, label, near, pair, shelve

TOKEN = "correct horse"
LIMITS = DedupSettings().limits
NOWHERE = "f" * 64
ONE, TWO, THREE, FOUR = sorted(image_id(number) for number in range(4))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = Database(database_url, metadata, "dedup", "test")
    metadata.create_all(made.engine)
    yield made
    made.close()


def application(database: Database, token: str) -> FastAPI:
    return create_http(database, SecretStr(token), LIMITS, {})


@pytest.fixture
async def client(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    app = application(database, TOKEN)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://dedup", headers=headers) as client:
        yield client


async def listed(client: httpx.AsyncClient, **params: Any) -> dict[str, Any]:
    answer = await client.get("/api/v1/pairs", params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def keys(page: dict[str, Any]) -> list[tuple[str, str]]:
    return [(row["image_id"], row["other_id"]) for row in page["pairs"]]


async def every(client: httpx.AsyncClient, limit: int, **params: Any) -> list[tuple[str, str]]:
    page = await listed(client, limit=limit, **params)
    found = keys(page)
    while page["next"] is not None:
        page = await listed(client, limit=limit, after=page["next"], **params)
        found += keys(page)
    return found


async def test_a_pair_has_the_promised_fields_and_no_other(
    database: Database, client: httpx.AsyncClient
) -> None:
    with database.engine.begin() as connection:
        shelve(connection, [ONE, TWO])
        pair(connection, ONE, TWO, 75, orientation="rotate-90", similarity=0.97, suggested_keep=TWO)
    assert await listed(client) == {
        "pairs": [
            {
                "image_id": ONE, "other_id": TWO, "revision": 1, "state": "review", "distance_bits": 75,
                "orientation": "rotate-90", "similarity": 0.97, "detector": "phash-256/1", "suggested_keep": TWO,
                "keep": None, "by": None, "reason": None, "request_id": None,
                "judged_at": "2026-11-21T12:00:00Z", "class_name": None,
            }
        ],
        "next": None,
    }  # fmt: skip


async def test_the_class_of_a_pair_is_the_one_that_both_have(
    database: Database, client: httpx.AsyncClient
) -> None:
    with database.engine.begin() as connection:
        shelve(connection, [ONE, TWO, THREE, FOUR])
        for one, name, kind in ((ONE, "lion", "class"), (TWO, "lion", "class"), (THREE, "lion", "unknown")):
            label(connection, one, name, kind)
        pair(connection, ONE, TWO, 1)
        pair(connection, ONE, THREE, 2)
        pair(connection, ONE, FOUR, 3)
        pair(connection, THREE, FOUR, 4)
    rows = (await listed(client))["pairs"]
    assert [row["class_name"] for row in rows] == ["lion", None, None, None]


async def test_pairs_are_filtered_by_state_and_by_either_image(
    database: Database, client: httpx.AsyncClient
) -> None:
    with database.engine.begin() as connection:
        shelve(connection, [ONE, TWO, THREE, FOUR])
        pair(connection, ONE, TWO, 70)
        pair(connection, TWO, THREE, 60, state="not-duplicate", by="ann", request_id="request-1")
        pair(connection, THREE, FOUR, 50, state="burst")
    assert await every(client, 10) == [(THREE, FOUR), (TWO, THREE), (ONE, TWO)]
    assert await every(client, 10, state="review") == [(ONE, TWO)]
    assert await every(client, 10, state="not-duplicate") == [(TWO, THREE)]
    assert await every(client, 10, image_id=TWO) == [(TWO, THREE), (ONE, TWO)]
    assert await every(client, 10, image_id=TWO, state="burst") == []
    assert await every(client, 10, image_id=NOWHERE) == []


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
async def test_pages_hold_every_pair_once_the_most_alike_first(
    database: Database, client: httpx.AsyncClient, limit: int
) -> None:
    ids = [image_id(number) for number in range(8)]
    distances: dict[tuple[str, str], int | None] = {}
    with database.engine.begin() as connection:
        shelve(connection, ids)
        for number, one in enumerate(ids):
            for other in ids[:number]:
                bits = None if (number + len(distances)) % 5 == 0 else len(distances) % 4
                distances[min(one, other), max(one, other)] = bits
                pair(connection, one, other, bits)
    found = await every(client, limit, state="review")
    assert found == sorted(distances, key=lambda key: (distances[key] is None, distances[key] or 0, key))


async def test_what_is_judged_between_two_pages_neither_repeats_nor_hides_a_pair(
    database: Database, client: httpx.AsyncClient
) -> None:
    ids = [image_id(number) for number in range(40)]
    with database.engine.begin() as connection:
        shelve(connection, ids)
        for one, other in zip(ids[:20:2], ids[1:20:2], strict=True):
            pair(connection, one, other, 40)
    before = await every(client, 100)
    added = iter(zip(ids[20:30], ids[30:], (40, 3, None, 90, 39, 41, 0, None, 40, 40), strict=True))
    page = await listed(client, limit=1)
    seen = keys(page)
    while page["next"] is not None:
        with database.engine.begin() as connection:
            for one, other, bits in islice(added, 1):
                pair(connection, one, other, bits)
        page = await listed(client, limit=1, after=page["next"])
        seen += keys(page)
    assert [key for key in seen if key in before] == before
    assert len(set(seen)) == len(seen)


async def test_one_image_is_told_with_its_group_and_its_pairs(
    database: Database, client: httpx.AsyncClient
) -> None:
    with database.engine.begin() as connection:
        shelve(connection, [ONE, TWO, THREE, FOUR])
        near(connection, TWO, ONE, 9)
        near(connection, THREE, ONE, 4, "burst")
        pair(connection, TWO, FOUR, 77)
    told = (await client.get(f"/api/v1/images/{TWO}")).json()
    [waiting] = told.pop("pairs")
    assert (waiting["image_id"], waiting["other_id"], waiting["distance_bits"]) == (TWO, FOUR, 77)
    assert told == {
        "image_id": TWO, "verdict": "near", "group": ONE, "duplicate_of": ONE, "distance_bits": 9,
        "orientation": "same", "by": None, "removed": False,
        "members": [
            {"image_id": ONE, "distance_bits": None, "orientation": "same", "verdict": "unique"},
            {"image_id": TWO, "distance_bits": 9, "orientation": "same", "verdict": "near"},
            {"image_id": THREE, "distance_bits": 4, "orientation": "same", "verdict": "burst"},
        ],
    }  # fmt: skip


async def test_a_removed_image_is_in_no_group(database: Database, client: httpx.AsyncClient) -> None:
    with database.engine.begin() as connection:
        shelve(connection, [ONE])
        shelve(connection, [TWO], removed=True)
        near(connection, TWO, ONE, 9)
    told = (await client.get(f"/api/v1/images/{TWO}")).json()
    assert (told["removed"], told["members"]) == (True, [])
    told = (await client.get(f"/api/v1/images/{ONE}")).json()
    assert [row["image_id"] for row in told["members"]] == [ONE]


async def test_thresholds_are_those_of_hashes_and_what_was_learnt_of_vectors(
    database: Database, client: httpx.AsyncClient
) -> None:
    of_lions = Threshold("lion", "mobile/7", 0.97, 0.9, 0.995, 0.98, 400, 12, learnt=True, out_of_sample=True)
    of_all = Threshold(None, "mobile/7", None, 0.92, None, 0.97, 200, 50, learnt=False, out_of_sample=False)
    with database.engine.begin() as connection:
        shelve(connection, [ONE, TWO, THREE])
        pair(connection, ONE, TWO, 75, state="duplicate", keep=ONE, by="ann")
        pair(connection, ONE, THREE, 78, state="not-duplicate", by="ann")
        pair(connection, TWO, THREE, 90, state="not-duplicate", by="ann", detector="mobile/7", similarity=0.9)
        save_thresholds(connection, [of_lions, of_all])
    hashes, everything, lions = (await client.get("/api/v1/thresholds")).json()["thresholds"]
    assert hashes == {
        "class_name": None, "detector": "phash-256/1", "automatic": LIMITS.automatic_bits,
        "review": LIMITS.review_bits, "precision": None, "recall": None, "duplicates": 1, "not_duplicates": 1,
        "learnt": False, "out_of_sample": False,
    }  # fmt: skip
    assert everything == asdict(of_all)
    assert lions == asdict(of_lions)


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        (f"/api/v1/images/{NOWHERE}", 404, NOWHERE),
        ("/api/v1/images/lion.jpg", 422, "path.image_id"),
        (f"/api/v1/images/{NOWHERE}%00", 422, "path.image_id"),
        ("/api/v1/pairs?state=maybe", 422, "query.state"),
        ("/api/v1/pairs?state=", 422, "query.state"),
        ("/api/v1/pairs?image_id=../etc", 422, "query.image_id"),
        ("/api/v1/pairs?limit=0", 422, "query.limit"),
        ("/api/v1/pairs?limit=1001", 422, "query.limit"),
        ("/api/v1/pairs?limit=many", 422, "query.limit"),
        ("/api/v1/pairs?after=12", 422, "'next' of the page before"),
        (f"/api/v1/pairs?after=99999.{ONE}.{TWO}", 422, "'next' of the page before"),
        (f"/api/v1/pairs?after=1.{ONE}.{TWO}%0a", 422, "'next' of the page before"),
        ("/api/v1/pairs?stat=review", 422, "query.stat"),
        ("/api/v1/nothing", 404, "Not Found"),
    ],
)
async def test_a_question_that_has_no_answer_gets_a_sentence(
    client: httpx.AsyncClient, path: str, status: int, words: str
) -> None:
    answer = await client.get(path)
    assert (answer.status_code, set(answer.json())) == (status, {"detail"})
    assert words in answer.json()["detail"]


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", "Bearer \xe9", TOKEN]
)
async def test_without_the_token_nothing_is_told(
    client: httpx.AsyncClient, authorization: str | None
) -> None:
    client.headers.pop("Authorization")
    headers = {} if authorization is None else {"Authorization": authorization.encode("latin-1")}
    for path in ("pairs", f"images/{ONE}", "thresholds"):
        answer = await client.get(f"/api/v1/{path}", headers=headers)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert "Authorization: Bearer" in answer.json()["detail"]
    answer = await client.post("/api/v1/commands/duplicate.resolve", headers=headers, json={})
    assert answer.status_code == 401


async def test_a_token_that_was_never_set_lets_nobody_in(database: Database) -> None:
    transport = httpx.ASGITransport(application(database, ""))
    async with httpx.AsyncClient(transport=transport, base_url="http://dedup") as client:
        answer = await client.get("/api/v1/pairs", headers={"Authorization": "Bearer "})
    assert answer.status_code == 401
