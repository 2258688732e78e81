"""The same files through every way into the library, on real servers: the library is the same."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from nats.js import JetStreamContext

from contracts.events import DeadLetterReason, ImageUploaded
from contracts.manifests import Buckets
from contracts.values import ObjectRef
from services.runtime.objectstore import ObjectDamaged, ObjectMissing, ObjectStore
from tests.support.ingest_house import AT, House
from tests.support.ingest_senders import WAYS, Sender, empty_drop, library, until_settled
from tests.support.ingest_service import IngestServers, said
from tests.support.ingest_ways import GivenFile, given_files, notification
from tests.support.pictures import encoded, noise
from tests.support.probe import dead_letters, until
from tests.support.servers import Broker, Postgres, S3Server

pytestmark = pytest.mark.integration

FIRST = 18
"""Pictures that others of the set are copies of: they are settled before, whatever the order of ids."""


@pytest.fixture
def servers(broker: Broker, weed: S3Server, tmp_path: Path) -> Iterator[IngestServers]:
    broker.provision()
    weed.store()
    made = IngestServers(broker, weed, f"sqlite:///{tmp_path}/test.sqlite", tmp_path / "work")
    empty_drop(made)
    yield made
    empty_drop(made)


@pytest.fixture
async def js(servers: IngestServers) -> AsyncIterator[JetStreamContext]:
    client = await servers.broker.client("admin")
    yield client.jetstream(timeout=15)
    await client.close()


@pytest.fixture(scope="module")
def files() -> list[GivenFile]:
    made = given_files()
    assert len(made) == 40
    return made


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory, files: list[GivenFile]) -> dict[str, Any]:
    """What the set makes of a library, by ingest's own rules and none of its ways in."""
    folder = tmp_path_factory.mktemp("reference")
    url = f"sqlite:///{folder}/ingest.sqlite"
    house = House(url, folder)

    async def take() -> None:
        for file in files:
            key = hashlib.sha256(file.data).hexdigest()
            await house.take(file.event(house.store.put(Buckets.INCOMING, key, file.data)))

    asyncio.run(take())
    house.close()
    state = library(url)
    assert {outcome for outcome, _, _ in state["outcomes"]} == {"accepted", "repeated", "rejected"}
    assert {row["label_kind"] for row in state["label_change"]} == {
        "class",
        "unknown",
        "out-of-scope",
        "rejected",
    }
    assert len(state["image"]) == FIRST
    return state


async def go_in(way: str, sender: Sender, files: list[GivenFile], js: JetStreamContext) -> None:
    for some in (files[:FIRST], files[FIRST:]):
        await WAYS[way](sender, some)
        known = len(files) if sender.round else some[-1].number + 1
        await until_settled(sender.servers.database_url, js, known)


@pytest.mark.parametrize("way", WAYS)
async def test_every_way_in_gives_the_same_library_and_again_changes_nothing(
    servers: IngestServers, js: JetStreamContext, files: list[GivenFile], reference: dict[str, Any], way: str
) -> None:
    async with servers.running(reconcile_interval_s=0) as client:
        sender = Sender(servers, client)
        await go_in(way, sender, files, js)
        assert library(servers.database_url) == reference
        before = Counter(message.name for message in await said(js))
        sender.round = 1
        await go_in(way, sender, files, js)
        await until_settled(servers.database_url, js, len(files))
    assert library(servers.database_url) == reference
    after = Counter(message.name for message in await said(js))
    if way == "upstream event":  # it announced them again itself
        before["image.uploaded"] *= 2
    assert after == before
    assert await dead_letters(js) == []
    assert list(servers.s3.store().list(Buckets.INCOMING, "presigned/")) == []


async def test_every_way_together_is_still_one_library(
    servers: IngestServers,
    js: JetStreamContext,
    files: list[GivenFile],
    postgres: Postgres,
    reference: dict[str, Any],
) -> None:
    """On PostgreSQL, with two replicas: a picture has one label and one row, whoever sends it how often."""
    servers.database_url = postgres.new_database()
    async with (
        servers.running(reconcile_interval_s=0.2) as one,
        servers.running(reconcile_interval_s=0) as other,
    ):
        for some in (files[:FIRST], files[FIRST:]):
            senders = [Sender(servers, client) for client in (one, other)]
            await asyncio.gather(
                senders[0].multipart(some), senders[1].multipart(some), senders[0].presigned(some),
                senders[1].presigned(some), senders[0].told(some), senders[1].found(some),
            )  # fmt: skip
            await until_settled(servers.database_url, js, 2 * (some[-1].number + 1))
    state = library(servers.database_url)
    outcomes = Counter(dict.fromkeys(("accepted", "repeated", "rejected"), 0))
    for (outcome, _, _), count in state.pop("outcomes").items():
        outcomes[outcome] += count
    assert outcomes == {"accepted": FIRST, "repeated": 32, "rejected": 30}
    assert [row["image_id"] for row in state["image"]] == [row["image_id"] for row in reference["image"]]
    assert [row["label"] for row in state["image"]] == [row["label"] for row in reference["image"]]
    assert await dead_letters(js) == []


async def test_the_bucket_is_looked_into_without_being_asked(
    servers: IngestServers, js: JetStreamContext
) -> None:
    async with servers.running(reconcile_interval_s=0.1) as client:
        Sender(servers, client).drop([GivenFile(0, "a/b c+d.png", encoded(noise(9, 9)), {"label": "otter"})])
        await until_settled(servers.database_url, js, 1)
        [told] = (await client.get("/api/v1/uploads?state=accepted")).json()["uploads"]
    assert told["file_name"] == "a/b c+d.png"
    assert library(servers.database_url)["image"][0]["label"] == "otter"


def announced(upload_id: str, ref: ObjectRef) -> ImageUploaded:
    return ImageUploaded(upload_id=upload_id, object=ref, file_name="a", uploaded_at=AT)


async def test_what_an_upstream_system_announces_wrongly_is_told_and_keeps_no_neighbour_out(
    servers: IngestServers, js: JetStreamContext
) -> None:
    store = servers.s3.store()
    data = encoded(noise(20, 20, 7))
    good = store.put(Buckets.INCOMING, "zoo/7/a.png", data)
    large = store.put(Buckets.INCOMING, "zoo/7/large", bytes(2_000_000)).model_copy(update={"size": 10})
    wrong = {
        "wrong-size": good.model_copy(update={"size": 5, "sha256": "a" * 64}),
        "wrong-hash": good.model_copy(update={"sha256": "b" * 64}),
        "larger-than-it-says": large,
        "missing": good.model_copy(update={"key": "zoo/gone", "sha256": "c" * 64}),
        "dot-segments": good.model_copy(update={"key": "../library/x", "sha256": "d" * 64}),
        "other-bucket": good.model_copy(update={"bucket": "models", "sha256": "e" * 64}),
        "unconfirmed": good.model_copy(update={"key": "presigned/x", "sha256": "f" * 64}),
    }
    async with servers.running(retry_delays_s=(0.1, 0.1)) as client:
        sender = Sender(servers, client)
        for name, ref in wrong.items():
            await sender.say("upstream", announced(f"upload-{name}", ref))
        await sender.say("upstream", announced("upload-good", good))

        async def all_told() -> bool:
            return len(await dead_letters(js)) == len(wrong)

        await until(all_told, 60)
        await until_settled(servers.database_url, js, 1)
    letters = {
        json.loads(base64.b64decode(letter.body_base64))["upload_id"]: letter
        for letter in await dead_letters(js)
    }
    reasons = {name.removeprefix("upload-"): letter.reason for name, letter in letters.items()}
    assert {name for name, reason in reasons.items() if reason == DeadLetterReason.MALFORMED} == {
        "other-bucket",
        "unconfirmed",
    }
    assert reasons.keys() == wrong.keys()
    for name, words in {
        "wrong-size": "holds more than 5 bytes", "wrong-hash": f"not the {len(data)} of sha256 bbbb",
        "larger-than-it-says": "holds more than 10 bytes", "missing": "zoo/gone is not in the object store",
        "dot-segments": "path segment", "other-bucket": "models/zoo/7/a.png is none of an uploader's",
    }.items():  # fmt: skip
        assert words in letters[f"upload-{name}"].error


async def test_a_notification_that_is_none_is_told_and_the_next_is_heard(
    servers: IngestServers, js: JetStreamContext
) -> None:
    async with servers.running(reconcile_interval_s=0) as client:
        sender = Sender(servers, client)
        sender.drop([GivenFile(0, "a.png", encoded(noise(9, 9))), GivenFile(1, "b.png", b"text")])
        await sender.tell({"Service": "Amazon S3", "Event": "s3:TestEvent"})
        await sender.tell(notification("../incoming/x", "a.png", "a/../b", "gone.png", "\N{LION FACE}"))
        await sender.tell(notification("b.png", event="s3:ObjectRemoved:Delete"))
        await until_settled(servers.database_url, js, 1)
    [letter] = await dead_letters(js)
    assert letter.durable == "ingest-drops"
    assert library(servers.database_url)["outcomes"] == {("accepted", None, None): 1}


async def test_an_oversize_presigned_upload_is_removed_from_the_store(servers: IngestServers) -> None:
    store = servers.s3.store()
    async with servers.running(max_file_bytes=100_000) as client, httpx.AsyncClient() as bare:
        answer = await client.post("/api/v1/uploads", json={"files": [{"upload_id": "upload-large"}]})
        [promised] = answer.json()["uploads"]
        assert (await client.post("/api/v1/uploads/upload-large/confirm")).status_code == 409
        assert (await bare.put(promised["url"], content=bytes(100_001))).status_code == 200
        assert (await client.post("/api/v1/uploads/upload-large/confirm")).status_code == 413
        with pytest.raises(ObjectMissing):
            store.stat(Buckets.INCOMING, "presigned/upload-large")
        # The URL is for this one key, this one method, and nothing else.
        for other in (
            promised["url"].replace("upload-large", "upload-other"),
            promised["url"].replace("incoming", "library"),
        ):
            assert (await bare.put(other, content=b"x")).status_code == 403
        assert (await bare.get(promised["url"])).status_code == 403


def test_what_the_listing_says_of_an_object_is_what_a_head_says(object_store: ObjectStore) -> None:
    """On each server: the upload id is made of it."""
    odd = (
        "listed/plain.png",
        "listed/a b+c%20d&e=f.png",
        "listed/Löwe \N{LION FACE}.png",
        "listed/a?b#c.png",
    )
    for key in odd:
        object_store.put(Buckets.DROP, key, key.encode())
    listed = {entry.key: entry for entry in object_store.entries(Buckets.DROP, "listed/")}
    try:
        assert set(listed) == set(odd)
        for key, entry in listed.items():
            stat = object_store.stat(Buckets.DROP, key)
            assert (stat.etag, stat.size) == (entry.etag, entry.size)
            assert int(stat.last_modified.timestamp()) == int(entry.last_modified.timestamp())
            assert b"".join(object_store.stream(Buckets.DROP, key, entry.etag)) == key.encode()
    finally:
        for key in odd:
            object_store.remove(Buckets.DROP, key)
            object_store.remove(Buckets.DROP, key)
    assert list(object_store.entries(Buckets.DROP, "listed/")) == []


def test_what_an_upstream_system_says_of_an_object_is_heard_from_each_server(
    object_store: ObjectStore,
) -> None:
    said: Any = {"label": "L%C3%B6we", "Label-Kind": "unknown", "tags": "a,b%2Cc"}
    object_store._client.put_object(Buckets.DROP, "said.png", io.BytesIO(b"x"), 1, metadata=said)
    try:
        told = object_store.stat(Buckets.DROP, "said.png").metadata
    finally:
        object_store.remove(Buckets.DROP, "said.png")
    assert {name: told[name] for name in ("label", "label-kind", "tags")} == {
        "label": "L%C3%B6we", "label-kind": "unknown", "tags": "a,b%2Cc",
    }  # fmt: skip


def test_a_version_that_is_no_more_and_a_reference_that_says_too_little_are_faults(
    object_store: ObjectStore,
) -> None:
    ref = object_store.put(Buckets.DROP, "damaged", bytes(5_000_000))
    try:
        with pytest.raises(ObjectDamaged, match="replaced"):
            b"".join(object_store.stream(Buckets.DROP, "damaged", "an older etag"))
        with pytest.raises(ObjectDamaged, match="more than 10 bytes"):
            object_store.get(ref.model_copy(update={"size": 10}))
    finally:
        object_store.remove(Buckets.DROP, "damaged")
    for key in ("../library/x", "a/../../b", "."):
        with pytest.raises(ObjectMissing, match="segment"):
            object_store.stat(Buckets.DROP, key)
