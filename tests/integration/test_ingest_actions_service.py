"""What people ask of the library, through a real broker and over HTTP, of the real service."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from nats.js import JetStreamContext

from contracts.commands import (
    AssignBenchmark,
    AssignLabel,
    AssignLabels,
    CloseDoubleCheck,
    GiveOpinion,
    RequestDoubleCheck,
    UndoLabels,
)
from contracts.events import BulkIdentified, DeadLetterReason, ImageLabelled
from tests.support.ingest_house import AT
from tests.support.ingest_service import IngestServers, said, upload_form
from tests.support.label_desk import ask, of_kind
from tests.support.pictures import encoded, noise
from tests.support.probe import dead_letters, say, until, until_quiet
from tests.support.servers import Broker, S3Server

pytestmark = pytest.mark.integration


@pytest.fixture
def servers(broker: Broker, weed: S3Server, tmp_path: Path) -> IngestServers:
    broker.provision()
    weed.store()  # makes the buckets
    return IngestServers(broker, weed, f"sqlite:///{tmp_path}/ingest.sqlite", tmp_path / "work")


@pytest.fixture
async def js(servers: IngestServers) -> AsyncIterator[JetStreamContext]:
    client = await servers.broker.client("admin")
    yield client.jetstream(timeout=15)
    await client.close()


async def uploaded(client: httpx.AsyncClient, js: JetStreamContext, images: int) -> list[str]:
    """Image ids of so many accepted uploads."""
    files = [(f"upload-{n:04d}", encoded(noise(20, 20, n))) for n in range(images)]
    answer = await client.post("/api/v1/images", **upload_form(files))

    async def accepted() -> bool:
        return Counter(message.name for message in await said(js))["image.accepted"] == images

    await until(accepted, 90)
    return [received["image_id"] for received in answer.json()["received"]]


async def test_every_request_by_message_is_done_in_the_order_it_was_said(
    servers: IngestServers, js: JetStreamContext
) -> None:
    async with servers.running() as client:
        one, other = await uploaded(client, js, 2)
        top = [{"label": "lynx", "confidence": 60.0}]
        page = BulkIdentified(
            run_id="run-1", page=1, model_version="007", identified_at=AT,
            results=[{"image_id": image_id, "top": top} for image_id in (one, "f" * 64)],
        )  # fmt: skip
        await say(js, page)
        await until_quiet(js, "ingest-suggestions", "BULK")
        await say(
            js,
            ask(AssignLabel, "request-1", image_id=one, label="otter"),
            ask(AssignLabels, "request-2", image_ids=[one, other], label="lion"),
            ask(GiveOpinion, "request-3", image_id=one, label="otter", by="bob"),
            ask(RequestDoubleCheck, "request-4", image_ids=[one, other], reason="odd"),
            ask(CloseDoubleCheck, "request-5", image_ids=[one]),
            ask(AssignBenchmark, "request-6", image_ids=[other], benchmark="difficult"),
            ask(UndoLabels, "request-7", change_id="request-2"),
            ask(UndoLabels, "request-8", change_id="never-said"),
        )
        await until_quiet(js, "ingest-labels", "LIBRARY")

        async def refused() -> bool:
            return bool(await dead_letters(js))

        await until(refused)
    messages = await said(js)
    told = Counter(message.name for message in messages)
    assert {name: told[name] for name in sorted(told) if name not in {"image.uploaded", "image.accepted"}} == {
        "image.benchmark-assigned": 1, "image.double-check-requested": 2, "image.double-checked": 1,
        "image.labelled": 2, "image.opinion-given": 1, "image.relabelled": 2, "image.unlabelled": 1,
    }  # fmt: skip
    offered = {m.image_id: m.suggestion for m in of_kind(messages, ImageLabelled)}
    assert offered[other] is None
    assert offered[one] is not None
    assert offered[one].model_version == "007"
    [letter] = await dead_letters(js)
    assert (letter.reason, letter.durable) == (DeadLetterReason.MALFORMED, "ingest-labels")
    assert "never-said" in letter.error


async def test_long_work_asked_for_over_http_is_done_by_its_message(
    servers: IngestServers, js: JetStreamContext
) -> None:
    async with servers.running() as client:
        for _ in range(2):
            for name in ("library.snapshot-requested", "library.reconcile-requested"):
                answer = await client.post(
                    f"/api/v1/commands/{name}", json={"request_id": name[8:16], "by": "ann"}
                )
                assert (answer.status_code, answer.json()["queued"]) == (200, True)

        async def packed() -> bool:
            return "library.snapshot-packed" in {message.name for message in await said(js, "LIBRARY")}

        await until(packed)
    told = Counter(message.name for message in await said(js, "LIBRARY"))
    assert told["library.snapshot-requested"] == told["library.reconcile-requested"] == 1
