"""Single files, presigned uploads, and what became of them, over HTTP."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from pydantic import SecretStr

from contracts.events import ImageUploaded
from contracts.manifests import Buckets
from contracts.values import LabelKind, Source
from services.ingest.http.application import create_http
from services.ingest.reception.presigned import Presigned
from services.ingest.store import presigned as promises
from tests.support.ingest_house import House
from tests.support.ingest_ways import BucketStore, keys_of
from tests.support.pictures import HOSTILE_NAMES, encoded, noise

HEADERS = {"Authorization": "Bearer token"}
LIMIT = 600_000
SAID = {
    "label": "flamingo/juvenile", "label_kind": "unknown", "source": "staged", "guest": "g", "visit": "v",
    "taken_at": "2026-05-01T09:00:00Z", "upstream_id": "zoo-7", "benchmark": "difficult", "uploaded_by": "ann",
}  # fmt: skip


class Client(httpx.AsyncClient):
    """Ingest over HTTP, and the object store behind it."""

    store: BucketStore

    async def promise(self, *upload_ids: str, **said: Any) -> httpx.Response:
        """Ask for URLs."""
        return await self.post(
            "/api/v1/uploads", json={"files": [{"upload_id": one, **said} for one in upload_ids]}
        )

    def put_bytes(self, upload_id: str, data: bytes) -> None:
        """What the URL is for."""
        self.store.drop(f"presigned/{upload_id}", data, datetime.now(UTC), Buckets.INCOMING)

    async def confirm(self, upload_id: str) -> httpx.Response:
        """Say that they are there."""
        return await self.post(f"/api/v1/uploads/{upload_id}/confirm")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(f"sqlite:///{tmp_path}/ingest.sqlite", tmp_path / "work", BucketStore())
    made.settings = made.settings.model_copy(
        update={"api_token": SecretStr("token"), "max_file_bytes": LIMIT, "max_request_files": 4}
    )
    yield made
    made.close()


@pytest.fixture
async def client(house: House) -> AsyncIterator[Client]:
    application = create_http(house.reception, house.database, house.settings, house.store)
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    async with Client(transport=transport, base_url="http://ingest", headers=HEADERS) as made:
        assert isinstance(house.store, BucketStore)
        made.store = house.store
        yield made


async def announced(house: House) -> list[ImageUploaded]:
    return [message for message in await house.said() if isinstance(message, ImageUploaded)]


def spooled(house: House) -> list[Path]:
    return [path for path in (house.settings.work_dir / "uploads").rglob("*") if path.is_file()]


def check_all_was_said(message: ImageUploaded) -> None:
    assert (message.label, message.label_kind, message.source) == (
        "flamingo/juvenile", LabelKind.UNKNOWN, Source.STAGED,
    )  # fmt: skip
    assert (message.guest, message.visit, message.tags, message.upstream_id) == ("g", "v", ("a", "b"), "zoo-7")
    assert (message.benchmark, message.uploaded_by) == ("difficult", "ann")
    assert message.taken_at == datetime(2026, 5, 1, 9, tzinfo=UTC)


async def test_a_batch_says_all_that_may_be_said(house: House, client: Client) -> None:
    meta = [{"upload_id": "upload-0001", "tags": ["a", "b", "a"], **SAID}]
    await client.post("/api/v1/images", data={"meta": json.dumps(meta)}, files=[("files", ("a.png", b"x"))])
    [message] = await announced(house)
    check_all_was_said(message)


async def test_a_single_file_is_the_body(house: House, client: Client) -> None:
    query = [("upload_id", "upload-0001"), ("tag", "a"), ("tag", "b"), *SAID.items()]
    answer = await client.put("/api/v1/images/a.png", params=query, content=b"pixels")
    image_id = hashlib.sha256(b"pixels").hexdigest()
    assert (answer.status_code, answer.json()) == (202, {"upload_id": "upload-0001", "image_id": image_id})
    [message] = await announced(house)
    check_all_was_said(message)
    assert message.file_name == "a.png"
    assert house.store.get(message.object) == b"pixels"
    again = await client.put("/api/v1/images/a.png", params=query, content=b"pixels")
    assert again.json() == answer.json()
    assert len(await announced(house)) == 1
    other = await client.put("/api/v1/images/a.png", params=query, content=b"other")
    assert other.status_code == 409


async def test_without_an_upload_id_each_request_is_an_upload(house: House, client: Client) -> None:
    ids = [(await client.put("/api/v1/images/a.png", content=b"x")).json()["upload_id"] for _ in range(2)]
    assert ids == [message.upload_id for message in await announced(house)]
    assert len(set(ids)) == 2
    assert all(len(one) == 26 for one in ids)


async def test_a_large_body_goes_through_the_disk_and_leaves_nothing_there(house: House, client: Client) -> None:
    large = bytes(range(256)) * 2300
    assert (await client.put("/api/v1/images/a.png", content=large)).status_code == 202
    [message] = await announced(house)
    assert house.store.get(message.object) == large
    assert spooled(house) == []


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_beyond_the_limit_is_refused_and_leaves_nothing(
    house: House, client: Client, declared: bool
) -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(13):
            yield bytes(50_000)

    answer = await client.put("/api/v1/images/a.png", content=bytes(LIMIT + 1) if declared else body())
    assert answer.status_code == 413
    assert f"'a.png' is larger than {LIMIT} bytes" in answer.json()["detail"]
    assert await house.said() == []
    assert (spooled(house), client.store.objects) == ([], {})


@pytest.mark.parametrize("name", [name for name in HOSTILE_NAMES if ".." not in name], ids=str.__len__)
async def test_any_file_name_is_taken_as_text(house: House, client: Client, name: str) -> None:
    answer = await client.put(f"/api/v1/images/{quote(name, safe='')}", content=b"x")
    assert answer.status_code == 202, answer.text
    [message] = await announced(house)
    assert message.file_name == name.replace("\0", "\N{REPLACEMENT CHARACTER}")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("upload_id=../../etc", "upload_id"), ("lable=otter", "lable"), ("label=a&label=b", "twice"),
        ("source=dream", "source"), ("tags=a", "repeat 'tag'"), ("taken_at=yesterday", "taken_at"),
        ("tag=" + "a" * 101, "tags.0"), ("&".join(f"tag={n}" for n in range(51)), "tags"),
        ("file_name=b", "file_name"), ("label=" + "a" * 201, "label"), ("label_kind=maybe", "label_kind"),
    ],
)  # fmt: skip
async def test_a_query_that_cannot_be_taken_says_why(house: House, client: Client, query: str, words: str) -> None:
    answer = await client.put(f"/api/v1/images/a.png?{query}", content=b"x")
    assert answer.status_code == 422
    assert words in answer.json()["detail"]
    assert await house.said() == []


async def test_blank_values_say_nothing(house: House, client: Client) -> None:
    blank = "&".join(f"{name}=%20" for name in SAID if name not in {"source", "uploaded_by"})
    assert (await client.put(f"/api/v1/images/a.png?{blank}", content=b"x")).status_code == 202
    [message] = await announced(house)
    assert (message.label, message.guest, message.taken_at, message.benchmark) == (None, None, None, None)


ROUTES = [
    ("PUT", "/api/v1/images/a.png"), ("POST", "/api/v1/uploads"), ("POST", "/api/v1/uploads/upload-0001/confirm"),
    ("GET", "/api/v1/uploads"), ("GET", "/api/v1/uploads/upload-0001"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_every_route_wants_the_token(house: House, client: Client, method: str, path: str) -> None:
    await client.promise("upload-0001")
    client.put_bytes("upload-0001", b"x")
    for header in ("", "Bearer wrong", "Basic token"):
        answer = await client.request(method, path, content=b"{}", headers={"Authorization": header})
        assert answer.status_code == 401
    assert await house.said() == []


async def test_a_presigned_upload_is_received_when_it_is_confirmed(house: House, client: Client) -> None:
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
        assert (confirmed.status_code, confirmed.json()) == (202, {"upload_id": "upload-0001", "image_id": image_id})
    [message] = await announced(house)
    check_all_was_said(message)
    assert (message.file_name, message.object.key) == ("a.png", image_id)
    assert keys_of(client.store, Buckets.INCOMING) == [image_id]
    await house.take(message)
    assert (await house.told())["image.accepted"] == 1


async def test_the_url_names_the_store_as_uploaders_reach_it(house: House) -> None:
    settings = house.settings.model_copy(update={"s3_public_endpoint": "https://s3.zoo.example"})
    transport = httpx.ASGITransport(create_http(house.reception, house.database, settings, house.store))
    async with Client(transport=transport, base_url="http://ingest", headers=HEADERS) as client:
        [promised] = (await client.promise("upload-0001")).json()["uploads"]
    assert "s3.zoo.example" in promised["url"]


async def test_what_is_put_after_the_confirmation_changes_nothing(house: House, client: Client) -> None:
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


async def test_a_confirmation_before_the_put_says_what_to_do(house: House, client: Client) -> None:
    await client.promise("upload-0001")
    early = await client.confirm("upload-0001")
    assert early.status_code == 409
    assert "PUT them to its url" in early.json()["detail"]
    await house.database.run(
        lambda unit: promises.keep_promises(
            unit.connection,
            [promises.Promise("upload-0001", "presigned/upload-0001", {"upload_id": "upload-0001"}, datetime(2026, 1, 1, tzinfo=UTC))],
        )
    )
    late = await client.confirm("upload-0001")
    assert late.status_code == 409
    assert "POST /api/v1/uploads" in late.json()["detail"]
    client.put_bytes("upload-0001", b"x")  # in time, and confirmed late
    assert (await client.confirm("upload-0001")).status_code == 202


@pytest.mark.parametrize("upload_id", ["upload-9999", "..%2f..%2fetc", "a%00b", "x" * 500])
async def test_an_upload_that_was_never_promised_is_not_found(house: House, client: Client, upload_id: str) -> None:
    assert (await client.confirm(upload_id)).status_code == 404
    assert (await client.get(f"/api/v1/uploads/{upload_id}")).status_code == 404


async def test_an_oversize_presigned_upload_is_removed_unread(house: House, client: Client) -> None:
    await client.promise("upload-0001")
    client.put_bytes("upload-0001", b"x")
    client.store.large[Buckets.INCOMING, "presigned/upload-0001"] = LIMIT + 1
    client.store.log.clear()
    answer = await client.confirm("upload-0001")
    assert answer.status_code == 413
    assert str(LIMIT) in answer.json()["detail"]
    assert (client.store.objects, client.store.log) == ({}, [])
    client.store.large.clear()
    client.put_bytes("upload-0001", b"smaller")
    assert (await client.confirm("upload-0001")).status_code == 202


async def test_an_object_that_grows_while_it_is_read_is_refused_too(house: House, client: Client) -> None:
    await client.promise("upload-0001")
    client.put_bytes("upload-0001", bytes(LIMIT + 1))
    client.store.large[Buckets.INCOMING, "presigned/upload-0001"] = 5
    assert (await client.confirm("upload-0001")).status_code == 413
    assert (client.store.objects, spooled(house), await house.said()) == ({}, [], [])


async def test_an_upload_id_promised_again_is_not_free_for_another_file(house: House, client: Client) -> None:
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
    house: House, client: Client, tmp_path: Path
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
    house: House, client: Client
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
    client: Client, body: bytes, status: int, words: str
) -> None:
    answer = await client.post("/api/v1/uploads", content=body)
    assert answer.status_code == status
    assert words in answer.json()["detail"]


async def listed(client: Client, query: str = "") -> dict[str, str]:
    answer = await client.get(f"/api/v1/uploads?{query}")
    assert answer.status_code == 200, answer.text
    return {one["upload_id"]: one["state"] for one in answer.json()["uploads"]}


async def test_every_upload_has_a_state_and_can_be_found(house: House, client: Client) -> None:
    picture = encoded(noise(9, 9))
    files = {"upload-0001": picture, "upload-0002": picture, "upload-0003": b"text"}
    for upload_id, data in files.items():
        await client.put("/api/v1/images/a.png", params={"upload_id": upload_id, "upstream_id": "zoo"}, content=data)
    await house.take(*await announced(house))
    await client.put("/api/v1/images/b.png?upload_id=upload-0004", content=b"more")
    await client.promise("upload-0005", file_name="c.png", upstream_id="zoo", uploaded_by="ann")
    await client.promise("upload-0003")
    states = {"0001": "accepted", "0002": "repeated", "0003": "rejected", "0004": "received", "0005": "awaiting"}
    assert await listed(client) == {f"upload-{n}": state for n, state in states.items()}
    for n, state in states.items():
        assert await listed(client, f"state={state}") == {f"upload-{n}": state}
    assert await listed(client, "upstream_id=zoo&limit=2") == {"upload-0001": "accepted", "upload-0002": "repeated"}
    assert list(await listed(client, "upload_id=upload-0005&upload_id=upload-0002&upload_id=nobody-0001")) == [
        "upload-0002", "upload-0005",
    ]  # fmt: skip
    rejected = (await client.get("/api/v1/uploads/upload-0003")).json()
    assert (rejected["code"], rejected["file_name"], rejected["uploaded_by"]) == ("not-an-image", "a.png", "upload")
    assert datetime.fromisoformat(rejected["settled_at"]).tzinfo is not None
    repeated = (await client.get("/api/v1/uploads/upload-0002")).json()
    assert repeated["same_as"] == repeated["image_id"] == hashlib.sha256(picture).hexdigest()
    waiting = (await client.get("/api/v1/uploads/upload-0005")).json()
    assert waiting == {
        "upload_id": "upload-0005", "state": "awaiting", "image_id": None, "same_as": None, "code": None,
        "detail": None, "file_name": "c.png", "upstream_id": "zoo", "uploaded_by": "ann", "uploaded_at": None,
        "settled_at": None,
    }  # fmt: skip


async def test_uploads_are_read_a_page_at_a_time(client: Client) -> None:
    for n in range(5):
        await client.put(f"/api/v1/images/a.png?upload_id=upload-{n:04d}", content=b"x")
    seen, after = [], ""
    while after is not None:
        page = (await client.get(f"/api/v1/uploads?limit=2&after={after}")).json()
        seen += [one["upload_id"] for one in page["uploads"]]
        after = page["next"]
    assert seen == [f"upload-{n:04d}" for n in range(5)]


@pytest.mark.parametrize("query", ["state=gone", "limit=0", "limit=9999", "color=red", "upload_id=.."])
async def test_a_question_that_makes_no_sense_is_told_so(client: Client, query: str) -> None:
    assert (await client.get(f"/api/v1/uploads?{query}")).status_code == 422
