"""The ingest service on a real broker, a real S3 server, SQLite and PostgreSQL."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nats.js import JetStreamContext

from contracts.commands import AssignLabel, RequestSnapshot
from contracts.events import (
    DeadLetterReason,
    ImageAccepted,
    ImageDeduplicated,
    ImageRejected,
    ImageUploaded,
    SnapshotPacked,
)
from contracts.manifests import SNAPSHOT_COLUMNS, Buckets
from contracts.values import DuplicateVerdict, ObjectRef
from services.runtime.shards import fetch_images, read_manifest
from tests.support.ingest_house import AT
from tests.support.ingest_service import HEADERS, IngestServers, said, upload_form
from tests.support.pictures import bad_input, encoded, noise
from tests.support.probe import dead_letters, say, until, until_quiet
from tests.support.servers import Broker, S3Server

pytestmark = pytest.mark.integration

PATH = "/api/v1/images"


@pytest.fixture
def servers(broker: Broker, weed: S3Server, database_url: str, tmp_path: Path) -> IngestServers:
    broker.provision()
    weed.store()  # makes the buckets
    return IngestServers(broker, weed, database_url, tmp_path / "work")


@pytest.fixture
async def js(servers: IngestServers) -> AsyncIterator[JetStreamContext]:
    client = await servers.broker.client("admin")
    yield client.jetstream(timeout=15)
    await client.close()


async def until_told(js: JetStreamContext, **counts: int) -> None:
    async def enough() -> bool:
        told = Counter(message.name for message in await said(js))
        return all(told[f"image.{name}"] >= count for name, count in counts.items())

    await until(enough, 90)


def unique(image_id: str) -> ImageDeduplicated:
    return ImageDeduplicated(
        image_id=image_id, revision=1, verdict=DuplicateVerdict.UNIQUE, group=image_id, detector="test",
        deduplicated_at=AT,
    )  # fmt: skip


async def test_whatever_is_uploaded_ends_in_one_state_and_neighbours_are_accepted(
    servers: IngestServers, js: JetStreamContext
) -> None:
    bad = [(f"bad-{n:06d}", *case) for n, case in enumerate(bad_input().values())]
    good = [(f"good-{n:05d}", encoded(noise(20, 20, n))) for n in range(len(bad))]
    mixed = [pair for (b, data, _), g in zip(bad, good, strict=True) for pair in ((b, data), g)]
    async with servers.running() as client:
        assert (await client.get("/health/live")).status_code == 200
        answer = await client.post(PATH, **upload_form(mixed))
        assert answer.status_code == 202, answer.text
        again = await client.post(PATH, **upload_form(mixed))
        assert again.json() == answer.json()
        await until_told(js, rejected=len(bad), accepted=len(good))
        await until_quiet(js, "ingest-uploads", "IMAGES")
    messages = await said(js)
    told = Counter(message.name for message in messages)
    assert told == {"image.uploaded": len(mixed), "image.rejected": len(bad), "image.accepted": len(good)}
    codes = {m.upload_id: m.code for m in messages if isinstance(m, ImageRejected)}
    assert codes == {upload_id: code for upload_id, _, code in bad}
    assert await dead_letters(js) == []


async def test_a_refused_request_is_refused_before_its_body_is_kept(
    servers: IngestServers, js: JetStreamContext
) -> None:
    async with servers.running() as client:
        answer = await client.post(
            PATH, **upload_form([("upload-0001", b"x")]), headers={"Authorization": "no"}
        )
        assert answer.status_code == 401
    assert HEADERS["Authorization"] != "no"
    assert await said(js) == []


async def test_the_library_is_labelled_and_packed(servers: IngestServers, js: JetStreamContext) -> None:
    files = [(f"upload-{n:04d}", encoded(noise(20, 20, n))) for n in range(9)]
    async with servers.running(shard_images=4) as client:
        await client.post(PATH, **upload_form(files, label="otter"))
        await until_told(js, accepted=9, labelled=9)
        accepted = [m for m in await said(js) if isinstance(m, ImageAccepted)]
        await say(js, *(unique(m.image_id) for m in accepted))
        request = AssignLabel(
            request_id="label-1", image_id=accepted[0].image_id, label="lion", by="ann", requested_at=AT
        )
        nobody = request.model_copy(update={"request_id": "label-2", "image_id": "f" * 64})
        await say(js, request, nobody)
        await until_told(js, relabelled=1)
        await until_quiet(js, "ingest-verdicts", "IMAGES")
        await say(js, *(RequestSnapshot(request_id=f"pack-{n}", by="ann", requested_at=AT) for n in range(2)))

        async def packed() -> bool:
            return sum(isinstance(m, SnapshotPacked) for m in await said(js, "LIBRARY")) == 2

        await until(packed, 60)
        await until_quiet(js, "ingest-labels", "LIBRARY")
    one, other = [m for m in await said(js, "LIBRARY") if isinstance(m, SnapshotPacked)]
    assert one.snapshot_id == other.snapshot_id
    assert (one.images, one.labelled, one.classes, one.shards) == (9, 9, 2, 3)
    store = servers.s3.store()
    rows = read_manifest(store.get(one.manifest), SNAPSHOT_COLUMNS)
    assert [row["image_id"] for row in rows] == sorted(m.image_id for m in accepted)
    normalised = {m.image_id: m.normalised.sha256 for m in accepted}
    fetched = {row["image_id"]: hashlib.sha256(png).hexdigest() for row, png in fetch_images(store, rows)}
    assert fetched == normalised
    [letter] = await dead_letters(js)
    assert letter.reason is DeadLetterReason.MALFORMED
    assert "f" * 64 in letter.error


async def test_a_missing_object_is_retried_then_visible_while_its_neighbours_flow(
    servers: IngestServers, js: JetStreamContext
) -> None:
    store = servers.s3.store()
    data = encoded(noise(20, 20))
    there = store.put(Buckets.INCOMING, hashlib.sha256(data).hexdigest(), data)
    lost = ObjectRef(bucket=Buckets.INCOMING, key="e" * 64, size=5, sha256="e" * 64)
    uploads = [
        ImageUploaded(upload_id=f"upload-{n:04d}", object=ref, file_name="a", uploaded_at=AT)
        for n, ref in enumerate((there, lost, there))
    ]
    async with servers.running():
        await say(js, *uploads)

        async def visible() -> bool:
            return bool(await dead_letters(js))

        await until(visible, 60)
    told = Counter(message.name for message in await said(js))
    assert (told["image.accepted"], told["image.repeated"], told["image.rejected"]) == (1, 1, 0)
    [letter] = await dead_letters(js)
    assert letter.reason is DeadLetterReason.ATTEMPTS_EXHAUSTED
    assert "ObjectMissing" in letter.error


async def test_a_stopped_service_goes_on_where_it_was(servers: IngestServers, js: JetStreamContext) -> None:
    files = [(f"upload-{n:04d}", encoded(noise(20, 20, n))) for n in range(60)]
    async with servers.running() as client:
        await client.post(PATH, **upload_form(files))
    async with servers.running():
        await until_told(js, accepted=60)
        await until_quiet(js, "ingest-uploads", "IMAGES")
    assert Counter(message.name for message in await said(js)) == {"image.uploaded": 60, "image.accepted": 60}
