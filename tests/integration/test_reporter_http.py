"""The page and the JSON, without a socket, on both databases: hostile values, refusals, freshness."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from contracts.events import ImageAccepted
from services.reporter.web.overview import PARTS
from services.reporter.web.security import POLICY
from services.runtime.database import Database
from tests.support.reporter_house import TOKEN, address_of, application, client, migrated, page_settings
from tests.support.reporter_story import (
    HOSTILE_LABEL,
    HOSTILE_NAME,
    Story,
    digest,
    project_into,
    store_thumbnails,
    stored,
)
from tests.support.servers import S3Server

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def told(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, weed: S3Server
) -> Iterator[FastAPI]:
    """A library with a life behind it; the tests that use it only read."""
    url = address_of(request.param, request, tmp_path_factory.mktemp("page"))
    database = migrated(url)
    store_thumbnails(weed.store())
    asyncio.run(project_into(database, stored(Story(images=8).tell())))
    urls = {"ingest": "http://127.0.0.1:1", "odd": "ftp://x"}
    yield application(database, page_settings(url, service_urls=urls), weed.store())
    database.close()


@pytest.fixture
async def http(told: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with client(told) as http:
        yield http


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Database]:
    """An empty store of the test's own."""
    database = migrated(f"sqlite:///{tmp_path}/fresh.sqlite")
    yield database
    database.close()


async def test_the_page_shows_every_part(http: httpx.AsyncClient) -> None:
    answer = await http.get("/")
    assert answer.status_code == 200
    for name, part in PARTS.items():
        assert f'id="part-{name}"' in answer.text
        assert part.title in answer.text
    assert "all accounted for" in answer.text
    assert answer.text.count("<h1") == 1


async def test_hostile_values_stay_text(http: httpx.AsyncClient) -> None:
    page = (await http.get("/")).text
    scripts = re.findall(r"<script[^>]*>", page)
    assert all(re.search(r'src="/static/[a-z]+\.js\?v=', script) for script in scripts)
    assert "<b>evil" not in page
    assert "onerror=alert(1)>" not in page
    assert "&lt;script&gt;alert(&#39;label&#39;)" in page
    assert "&lt;script&gt;alert(&#39;letter&#39;)" in page


async def test_nothing_on_the_page_needs_inline_style_or_script(http: httpx.AsyncClient) -> None:
    page = (await http.get("/")).text
    assert not re.search(r"<[^>]*\sstyle=|<style|\son[a-z]+=\"|javascript:", page)
    assert not re.search(r"(?:src|href|hx-get)=\"(?!/|#)", page)


@pytest.mark.parametrize(
    "path", ["/", "/parts/flow", "/api/v1/summary", "/static/page.css", "/nothing", "/parts/x"]
)
async def test_every_answer_carries_the_policy(http: httpx.AsyncClient, path: str) -> None:
    headers = (await http.get(path)).headers
    assert headers["content-security-policy"] == POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"


async def test_a_foreign_host_name_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.get("/api/v1/summary", headers={"host": "rebound.example"})
    assert answer.status_code == 400
    assert "content-security-policy" in answer.headers


async def test_an_empty_store_says_what_to_do_next(fresh: Database) -> None:
    async with client(application(fresh, page_settings("sqlite://"))) as http:
        page = (await http.get("/")).text
    for command in ("menagerie upload", "menagerie label", "menagerie train", "menagerie bulk-identify"):
        assert command in page
    assert "MENAGERIE_SERVICE_URLS" in page


async def test_an_unchanged_part_is_not_sent_again(fresh: Database) -> None:
    story = stored(Story(images=1).tell())
    rejected = [pair for pair in story if pair[0].name == "image.rejected"]
    await project_into(fresh, rejected[:2])
    async with client(application(fresh, page_settings("sqlite://"))) as http:
        address = re.search(r'hx-get="([^"]+)"', (await http.get("/parts/rejected")).text)
        assert address is not None
        assert (await http.get(address[1])).status_code == 204
        await project_into(fresh, rejected[2:3])
        assert (await http.get(address[1])).status_code == 200


async def test_services_that_do_not_answer_are_named(http: httpx.AsyncClient) -> None:
    part = (await http.get("/parts/services")).text
    assert "service--silent" in part
    assert "check MENAGERIE_SERVICE_URLS" in part


async def test_a_thumbnail_is_the_stored_webp_and_may_be_kept_for_ever(http: httpx.AsyncClient) -> None:
    address = f"/thumbnails/{digest('zero/00000.png')}"
    answer = await http.get(address)
    assert answer.headers["content-type"] == "image/webp"
    assert answer.content[8:12] == b"WEBP"
    assert "immutable" in answer.headers["cache-control"]
    again = await http.get(address, headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("image_id", ["f" * 64, "..%2f..%2fetc", "ZZ", "%3Cscript%3E", "a" * 65])
async def test_only_known_image_ids_have_thumbnails(http: httpx.AsyncClient, image_id: str) -> None:
    answer = await http.get(f"/thumbnails/{image_id}")
    assert answer.status_code in {404, 422}
    assert answer.headers["content-type"] == "application/json"


async def test_a_thumbnail_the_store_lost_is_a_fault_not_an_absence(fresh: Database, weed: S3Server) -> None:
    said = next(message for message in Story(images=1).tell() if isinstance(message, ImageAccepted))
    lost = said.model_copy(
        update={"thumbnail": said.thumbnail.model_copy(update={"key": "never/stored.webp"})}
    )
    await project_into(fresh, [(lost, 1)])
    async with client(application(fresh, page_settings("sqlite://"), weed.store())) as http:
        answer = await http.get(f"/thumbnails/{said.image_id}")
    assert answer.status_code == 503
    assert "never/stored.webp" in answer.json()["detail"]


async def test_images_come_in_pages(http: httpx.AsyncClient) -> None:
    first = (await http.get("/api/v1/images", params={"limit": 3})).json()
    second = (await http.get("/api/v1/images", params={"limit": 3, "after": first["next"]})).json()
    ids = [image["image_id"] for image in first["images"] + second["images"]]
    assert len(set(ids)) == 6
    assert first["images"][0]["accepted_at"].endswith(("Z", "+00:00"))


async def test_an_image_is_found_by_its_hostile_label(http: httpx.AsyncClient) -> None:
    found = (await http.get("/api/v1/images", params={"label": HOSTILE_LABEL})).json()["images"]
    assert [image["file_name"] for image in found] == [HOSTILE_NAME]


@pytest.mark.parametrize(
    "query",
    [
        {"after": "nonsense"},
        {"after": "WyJhIiwiYiJd"},
        {"limit": 0},
        {"limit": 1001},
        {"verdict": "maybe"},
        {"unlabelled": "perhaps"},
        {"label": "l" * 1025},
    ],
)
async def test_a_bad_question_is_refused_with_a_reason(
    http: httpx.AsyncClient, query: dict[str, Any]
) -> None:
    answer = await http.get("/api/v1/images", params=query)
    assert answer.status_code in {400, 422}
    assert answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/api/v1/uploads?state=rejected", "uploads"),
        ("/api/v1/models", "models"),
        ("/api/v1/snapshots", "snapshots"),
        ("/api/v1/identifications?model_version=002", "identifications"),
        ("/api/v1/classes", "classes"),
        ("/api/v1/dead-letters", "dead_letters"),
    ],
)
async def test_every_list_answers(http: httpx.AsyncClient, path: str, key: str) -> None:
    assert (await http.get(path)).json()[key]


async def test_a_run_tells_request_epochs_and_outcome(http: httpx.AsyncClient) -> None:
    run = (await http.get("/api/v1/runs/fine-tuning")).json()
    assert (run["request"]["base"], len(run["epochs"]), run["outcome"]["model_version"]) == ("001", 20, "002")
    assert (await http.get("/api/v1/bulk-runs/bulk-002")).json()["state"] == "completed"
    assert (await http.get("/api/v1/runs/never")).status_code == 404


async def test_a_model_tells_its_sets_and_its_gate(http: httpx.AsyncClient) -> None:
    model = (await http.get("/api/v1/models")).json()["models"][1]
    assert [score["name"] for score in model["sets"]] == ["train", "validation", "test", "out-of-scope"]
    assert [rule["passed"] for rule in model["gate_rules"]] == [None, True]


@pytest.mark.parametrize(
    "header", [{}, {"authorization": "Bearer wrong"}, {"authorization": TOKEN}, {"authorization": "Bearer "}]
)
async def test_a_rebuild_needs_the_token(http: httpx.AsyncClient, header: dict[str, str]) -> None:
    answer = await http.post("/api/v1/rebuild", headers=header)
    assert answer.status_code == 401
    assert "Bearer" in answer.json()["detail"]


async def test_no_token_configured_lets_nobody_in(fresh: Database) -> None:
    async with client(application(fresh, page_settings("sqlite://", api_token=""))) as http:
        assert (await http.post("/api/v1/rebuild", headers={"authorization": "Bearer "})).status_code == 401


async def test_a_rebuild_that_cannot_read_the_log_says_so_and_changes_nothing(
    http: httpx.AsyncClient,
) -> None:
    before = (await http.get("/api/v1/summary")).json()
    answer = await http.post("/api/v1/rebuild", headers={"authorization": f"Bearer {TOKEN}"})
    last = json.loads(answer.text.splitlines()[-1])
    assert last["equal"] is False
    assert "no broker" in last["error"]
    assert (await http.get("/api/v1/summary")).json() == before
