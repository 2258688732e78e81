"""The reporter on a real broker with its own rights: five durables, and the rebuild from the log."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from nats.js import JetStreamContext

from contracts.events import ImageUploaded
from deploy.provision.permissions import REBUILD
from services.reporter.eventlog import READER
from services.reporter.store.digests import digests
from services.reporter.store.tables import metadata
from services.runtime.service import Service
from tests.support.reporter_house import TOKEN, publish, reporter, running, until_settled
from tests.support.reporter_story import NOON, Story, ref
from tests.support.servers import Broker, S3Server

pytestmark = pytest.mark.integration


@pytest.fixture
async def js(broker: Broker) -> AsyncIterator[JetStreamContext]:
    """The administrator, who may say anything."""
    client = await broker.client("admin")
    yield client.jetstream(timeout=30)
    await client.close()


@pytest.fixture
def provisioned(broker: Broker) -> Broker:
    broker.provision()
    return broker


@pytest.fixture
def service(provisioned: Broker, weed: S3Server, database_url: str, tmp_path: Path) -> Service:
    return reporter(provisioned, weed, database_url, tmp_path / "work")


async def rebuild(http: httpx.AsyncClient) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Progress lines and the report."""
    answer = await http.post("/api/v1/rebuild", headers={"authorization": f"Bearer {TOKEN}"}, timeout=120)
    assert answer.status_code == 200
    lines = [json.loads(line) for line in answer.text.splitlines()]
    return lines[:-1], lines[-1]


def test_the_reader_has_the_name_that_the_rights_allow() -> None:
    assert READER == REBUILD


async def test_a_life_told_on_the_broker_is_in_the_store_and_a_rebuild_equals_it(
    service: Service, js: JetStreamContext
) -> None:
    async with running(service) as http:
        await publish(js, Story(images=8).tell())
        await until_settled(js)
        summary = (await http.get("/api/v1/summary")).json()
        before = await service.database.read(digests)
        progress, report = await rebuild(http)
        assert report["equal"], report
        assert {line["stream"] for line in progress} == {
            "IMAGES",
            "LIBRARY",
            "MODELS",
            "BULK",
            "DEAD_LETTERS",
        }
        assert (
            report["tables"]["dim_images"]["rows_before"] == report["tables"]["dim_images"]["rows_after"] > 0
        )
        assert await service.database.read(digests) == before
        assert (await http.get("/api/v1/summary")).json() == summary
        assert (await http.get("/health/ready")).json()["checks"]["broker"] == "ok"  # nothing was forbidden


async def test_a_rebuild_repairs_what_somebody_changed_and_says_where(
    service: Service, js: JetStreamContext
) -> None:
    async with running(service) as http:
        await publish(js, Story(images=4).tell())
        await until_settled(js)
        before = await service.database.read(digests)
        images, models = metadata.tables["dim_images"], metadata.tables["dim_models"]
        await service.database.run(
            lambda unit: unit.connection.execute(sa.update(images).values(label="x")).close()
        )
        await service.database.run(lambda unit: unit.connection.execute(sa.delete(models)).close())
        _, report = await rebuild(http)
        assert not report["equal"]
        wrong = {name for name, table in report["tables"].items() if not table["equal"]}
        assert wrong == {"dim_images", "dim_models"}
        assert await service.database.read(digests) == before


async def test_events_that_no_projection_can_read_are_dead_letters_and_skipped_by_a_rebuild(
    service: Service, js: JetStreamContext
) -> None:
    upload = ImageUploaded(
        upload_id="upload-001", object=ref("incoming", "a"), file_name="a.png", uploaded_at=NOON
    )
    huge = upload.model_dump(mode="json") | {"upload_id": "upload-002"}
    huge["object"] |= {"size": 2**70}
    await js.publish(upload.subject(), b"{not json", stream="IMAGES")
    await js.publish(upload.subject(), json.dumps(huge).encode(), stream="IMAGES")
    await publish(js, [upload])
    async with running(service) as http:
        await until_settled(js)
        await until_settled(js)  # the letters of the first round are events of their own
        letters = (await http.get("/api/v1/dead-letters")).json()["dead_letters"]
        assert {letter["source_seq"] for letter in letters} == {1, 2}
        assert any("beyond a 64-bit number" in letter["error"] for letter in letters)
        uploads = (await http.get("/api/v1/uploads")).json()["uploads"]
        assert [upload["upload_id"] for upload in uploads] == ["upload-001"]
        _, report = await rebuild(http)
        assert report["equal"]
        assert report["skipped"] == 2


async def test_events_that_arrive_while_a_rebuild_runs_are_not_lost(
    service: Service, js: JetStreamContext
) -> None:
    story = Story(images=30).tell()
    async with running(service) as http:
        await publish(js, story[: len(story) // 2])
        async with http.stream(
            "POST", "/api/v1/rebuild", headers={"authorization": f"Bearer {TOKEN}"}
        ) as answer:
            second = await http.post("/api/v1/rebuild", headers={"authorization": f"Bearer {TOKEN}"})
            assert second.status_code in {200, 409}
            await publish(js, story[len(story) // 2 :])
            lines = [json.loads(line) async for line in answer.aiter_lines() if line]
        assert "error" not in lines[-1]
        await until_settled(js)
        _, report = await rebuild(http)
        assert report["equal"], report
        uploads = {message.upload_id for message in story if isinstance(message, ImageUploaded)}
        assert report["tables"]["fct_uploads"]["rows_after"] == len(uploads)
