"""Presigned uploads over HTTP: promised, put past the service, confirmed."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contracts.manifests import Buckets
from services.ingest.reception.presigned import Presigned
from services.ingest.store import presigned as promises
from tests.support.ingest_house import House
from tests.support.ingest_uploading import (
    LIMIT_BYTES,
    SAID,
    UploadClient,
    announced,
    check_all_was_said,
    spooled,
    upload_client,
    upload_house,
)
from tests.support.ingest_ways import keys_of
from tests.support.pictures import encoded, noise


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = upload_house(tmp_path)
    yield made
    made.close()


@pytest.fixture
async def client(house: House) -> AsyncIterator[UploadClient]:
    async with upload_client(house) as made:
        yield made


async def test_a_presigned_upload_is_received_when_it_is_confirmed(
    house: House, client: UploadClient
) -> None:
    answer = await client.promise("upload-0001", file_name="a.png", tags=["a", "b"], **SAID)
    assert answer.status_code == 201
    [promised] = answer.json()["uploads"]
    assert promised["url"] == "http://store/incoming/presigned/upload-0001?valid_s=900"
    expires_at = datetime.fromisoformat(promised["expires_at"])
    assert timedelta(minutes=14) < expires_at - datetime.now(UTC) <= timedelta(minutes=15)
    data = encoded(noise(9, 9))
    client.put_bytes("upload-0001", data)
    image_id = hashlib.sha256(data).hexdigest()
    for _ in range(2):
        confirmed = await client.confirm("upload-0001")
        assert (confirmed.status_code, confirmed.json()) == (
            202,
            {"upload_id": "upload-0001", "image_id": image_id},
        )
    [message] = await announced(house)
    check_all_was_said(message)
    assert (message.file_name, message.object.key) == ("a.png", image_id)
    assert keys_of(client.store, Buckets.INCOMING) == [image_id]
    await house.take(message)
    assert (await house.told())["image.accepted"] == 1


async def test_the_url_names_the_store_as_uploaders_reach_it(house: House) -> None:
    async with upload_client(house, s3_public_endpoint="https://s3.zoo.example") as client:
        [promised] = (await client.promise("upload-0001")).json()["uploads"]
    assert "s3.zoo.example" in promised["url"]


async def test_what_is_put_after_the_confirmation_changes_nothing(house: House, client: UploadClient) -> None:
    await client.promise("upload-0001")
    good = encoded(noise(9, 9))
    client.put_bytes("upload-0001", good)
    first = await client.confirm("upload-0001")
    client.put_bytes("upload-0001", b"swapped")
    again = await client.confirm("upload-0001")
    assert (again.status_code, again.json()) == (202, first.json())
    [message] = await announced(house)
    assert house.store.get(message.object) == good
    await house.take(message)
    assert (await house.told())["image.accepted"] == 1


async def test_a_confirmation_before_the_put_says_what_to_do(house: House, client: UploadClient) -> None:
    await client.promise("upload-0001")
    early = await client.confirm("upload-0001")
    assert early.status_code == 409
    assert "PUT them to its url" in early.json()["detail"]
    await house.database.run(
        lambda unit: promises.keep_promises(
            unit.connection,
            [
                promises.Promise(
                    "upload-0001",
                    "presigned/upload-0001",
                    {"upload_id": "upload-0001"},
                    datetime(2026, 1, 1, tzinfo=UTC),
                )
            ],
        )
    )
    late = await client.confirm("upload-0001")
    assert late.status_code == 409
    assert "POST /api/v1/uploads" in late.json()["detail"]
    client.put_bytes("upload-0001", b"x")  # in time, and confirmed late
    assert (await client.confirm("upload-0001")).status_code == 202


@pytest.mark.parametrize("upload_id", ["upload-9999", "..%2f..%2fetc", "a%00b", "x" * 500])
async def test_an_upload_that_was_never_promised_is_not_found(
    house: House, client: UploadClient, upload_id: str
) -> None:
    assert (await client.confirm(upload_id)).status_code == 404
    assert (await client.get(f"/api/v1/uploads/{upload_id}")).status_code == 404


async def test_an_oversize_presigned_upload_is_removed_unread(house: House, client: UploadClient) -> None:
    await client.promise("upload-0001")
    client.put_bytes("upload-0001", b"x")
    client.store.large[Buckets.INCOMING, "presigned/upload-0001"] = LIMIT_BYTES + 1
    client.store.log.clear()
    answer = await client.confirm("upload-0001")
    assert answer.status_code == 413
    assert str(LIMIT_BYTES) in answer.json()["detail"]
    assert (client.store.objects, client.store.log) == ({}, [])
    client.store.large.clear()
    client.put_bytes("upload-0001", b"smaller")
    assert (await client.confirm("upload-0001")).status_code == 202


async def test_an_object_that_grows_while_it_is_read_is_refused_too(
    house: House, client: UploadClient
) -> None:
    await client.promise("upload-0001")
    client.put_bytes("upload-0001", bytes(LIMIT_BYTES + 1))
    client.store.large[Buckets.INCOMING, "presigned/upload-0001"] = 5
    assert (await client.confirm("upload-0001")).status_code == 413
    assert (client.store.objects, spooled(house), await house.said()) == ({}, [], [])


async def test_an_upload_id_promised_again_is_not_free_for_another_file(
    house: House, client: UploadClient
) -> None:
    for _ in range(2):
        await client.promise("upload-0001")
        client.put_bytes("upload-0001", b"one")
        assert (await client.confirm("upload-0001")).status_code == 202
    await client.promise("upload-0001")
    assert (await client.confirm("upload-0001")).status_code == 202  # nothing new was put
    client.put_bytes("upload-0001", b"other")
    assert (await client.confirm("upload-0001")).status_code == 409
    assert len(await announced(house)) == 1


async def test_confirmations_at_once_by_two_replicas_are_one_upload(
    house: House, client: UploadClient, tmp_path: Path
) -> None:
    other = House(f"sqlite:///{tmp_path}/ingest.sqlite", tmp_path / "other", house.store)
    try:
        await client.promise("upload-0001")
        client.put_bytes("upload-0001", bytes(300_000))
        replicas = [Presigned(one.reception, house.settings) for one in (house, other)]
        answers = await asyncio.gather(*(one.confirm("upload-0001") for one in replicas * 8))
    finally:
        other.close()
    assert len(set(answers)) == 1
    assert len(await announced(house)) == 1
    assert spooled(house) == []


async def test_expired_promises_are_forgotten_and_what_nobody_confirmed_is_removed(
    house: House, client: UploadClient
) -> None:
    await client.promise("upload-0001", "upload-0002", "upload-0003")
    long_ago = datetime.now(UTC) - timedelta(days=3)
    old = [
        promises.Promise(one, f"presigned/{one}", {"upload_id": one}, long_ago) for one in ("upload-0001",)
    ]
    await house.database.run(lambda unit: promises.keep_promises(unit.connection, old))
    for upload_id in ("upload-0001", "upload-0002", "upload-late"):  # the last has no promise any more
        client.store.drop(f"presigned/{upload_id}", b"x", long_ago, Buckets.INCOMING)
    client.put_bytes("upload-just-now", b"x")
    client.store.drop("f" * 64, b"an original", long_ago, Buckets.INCOMING)
    await Presigned(house.reception, house.settings).sweep()
    left = ["f" * 64, "presigned/upload-0002", "presigned/upload-just-now"]
    assert keys_of(client.store, Buckets.INCOMING) == left
    assert (await client.confirm("upload-0001")).status_code == 404
    assert (await client.confirm("upload-0002")).status_code == 202
    assert (await client.confirm("upload-0003")).status_code == 409


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{", 422, "JSON"), (b'{"files":[]}', 422, "empty"), (b"[]", 422, "JSON"),
        (b'{"files":[{"upload_id":"upload-0001"},{"upload_id":"upload-0001"}]}', 422, "twice"),
        (b'{"files":[{"upload_id":"../etc/x"}]}', 422, "upload_id"),
        (json.dumps({"files": [{"upload_id": f"upload-{n:04d}"} for n in range(5)]}).encode(), 413, "at most 4"),
        (b" " * 1_100_000, 413, "larger than"),
    ],
)  # fmt: skip
async def test_a_request_for_urls_that_cannot_be_met_says_why(
    client: UploadClient, body: bytes, status: int, words: str
) -> None:
    answer = await client.post("/api/v1/uploads", content=body)
    assert answer.status_code == status
    assert words in answer.json()["detail"]
