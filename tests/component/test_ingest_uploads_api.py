"""Single files over HTTP, and what became of uploads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import pytest

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
from tests.support.pictures import HOSTILE_NAMES, encoded, noise


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = upload_house(tmp_path)
    yield made
    made.close()


@pytest.fixture
async def client(house: House) -> AsyncIterator[UploadClient]:
    async with upload_client(house) as made:
        yield made


async def test_a_batch_says_all_that_may_be_said(house: House, client: UploadClient) -> None:
    meta = [{"upload_id": "upload-0001", "tags": ["a", "b", "a"], **SAID}]
    await client.post("/api/v1/images", data={"meta": json.dumps(meta)}, files=[("files", ("a.png", b"x"))])
    [message] = await announced(house)
    check_all_was_said(message)


async def test_a_single_file_is_the_body(house: House, client: UploadClient) -> None:
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


async def test_without_an_upload_id_each_request_is_an_upload(house: House, client: UploadClient) -> None:
    ids = [(await client.put("/api/v1/images/a.png", content=b"x")).json()["upload_id"] for _ in range(2)]
    assert ids == [message.upload_id for message in await announced(house)]
    assert len(set(ids)) == 2
    assert all(len(one) == 26 for one in ids)


async def test_a_large_body_goes_through_the_disk_and_leaves_nothing_there(
    house: House, client: UploadClient
) -> None:
    large = bytes(range(256)) * 2300
    assert (await client.put("/api/v1/images/a.png", content=large)).status_code == 202
    [message] = await announced(house)
    assert house.store.get(message.object) == large
    assert spooled(house) == []


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_beyond_the_limit_is_refused_and_leaves_nothing(
    house: House, client: UploadClient, declared: bool
) -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(13):
            yield bytes(50_000)

    answer = await client.put("/api/v1/images/a.png", content=bytes(LIMIT_BYTES + 1) if declared else body())
    assert answer.status_code == 413
    assert f"'a.png' is larger than {LIMIT_BYTES} bytes" in answer.json()["detail"]
    assert await house.said() == []
    assert (spooled(house), client.store.objects) == ([], {})


@pytest.mark.parametrize("name", [name for name in HOSTILE_NAMES if ".." not in name], ids=str.__len__)
async def test_any_file_name_is_taken_as_text(house: House, client: UploadClient, name: str) -> None:
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
async def test_a_query_that_cannot_be_taken_says_why(
    house: House, client: UploadClient, query: str, words: str
) -> None:
    answer = await client.put(f"/api/v1/images/a.png?{query}", content=b"x")
    assert answer.status_code == 422
    assert words in answer.json()["detail"]
    assert await house.said() == []


async def test_blank_values_say_nothing(house: House, client: UploadClient) -> None:
    blank = "&".join(f"{name}=%20" for name in SAID if name not in {"source", "uploaded_by"})
    assert (await client.put(f"/api/v1/images/a.png?{blank}", content=b"x")).status_code == 202
    [message] = await announced(house)
    assert (message.label, message.guest, message.taken_at, message.benchmark) == (None, None, None, None)


ROUTES = [
    ("PUT", "/api/v1/images/a.png"), ("POST", "/api/v1/uploads"), ("POST", "/api/v1/uploads/upload-0001/confirm"),
    ("GET", "/api/v1/uploads"), ("GET", "/api/v1/uploads/upload-0001"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_every_route_wants_the_token(
    house: House, client: UploadClient, method: str, path: str
) -> None:
    await client.promise("upload-0001")
    client.put_bytes("upload-0001", b"x")
    for header in ("", "Bearer wrong", "Basic token"):
        answer = await client.request(method, path, content=b"{}", headers={"Authorization": header})
        assert answer.status_code == 401
    assert await house.said() == []


async def listed(client: UploadClient, query: str = "") -> dict[str, str]:
    answer = await client.get(f"/api/v1/uploads?{query}")
    assert answer.status_code == 200, answer.text
    return {one["upload_id"]: one["state"] for one in answer.json()["uploads"]}


async def test_every_upload_has_a_state_and_can_be_found(house: House, client: UploadClient) -> None:
    picture = encoded(noise(9, 9))
    files = {"upload-0001": picture, "upload-0002": picture, "upload-0003": b"text"}
    for upload_id, data in files.items():
        await client.put(
            "/api/v1/images/a.png", params={"upload_id": upload_id, "upstream_id": "zoo"}, content=data
        )
    await house.take(*await announced(house))
    await client.put("/api/v1/images/b.png?upload_id=upload-0004", content=b"more")
    await client.promise("upload-0005", file_name="c.png", upstream_id="zoo", uploaded_by="ann")
    await client.promise("upload-0003")
    states = {
        "0001": "accepted",
        "0002": "repeated",
        "0003": "rejected",
        "0004": "received",
        "0005": "awaiting",
    }
    assert await listed(client) == {f"upload-{n}": state for n, state in states.items()}
    for n, state in states.items():
        assert await listed(client, f"state={state}") == {f"upload-{n}": state}
    assert await listed(client, "upstream_id=zoo&limit=2") == {
        "upload-0001": "accepted",
        "upload-0002": "repeated",
    }
    assert list(await listed(client, "upload_id=upload-0005&upload_id=upload-0002&upload_id=nobody-0001")) == [
        "upload-0002", "upload-0005",
    ]  # fmt: skip
    rejected = (await client.get("/api/v1/uploads/upload-0003")).json()
    assert (rejected["code"], rejected["file_name"], rejected["uploaded_by"]) == (
        "not-an-image",
        "a.png",
        "upload",
    )
    assert datetime.fromisoformat(rejected["settled_at"]).tzinfo is not None
    repeated = (await client.get("/api/v1/uploads/upload-0002")).json()
    assert repeated["same_as"] == repeated["image_id"] == hashlib.sha256(picture).hexdigest()
    waiting = (await client.get("/api/v1/uploads/upload-0005")).json()
    assert waiting == {
        "upload_id": "upload-0005", "state": "awaiting", "image_id": None, "same_as": None, "code": None,
        "detail": None, "file_name": "c.png", "upstream_id": "zoo", "uploaded_by": "ann", "uploaded_at": None,
        "settled_at": None,
    }  # fmt: skip


async def test_uploads_are_read_a_page_at_a_time(client: UploadClient) -> None:
    for n in range(5):
        await client.put(f"/api/v1/images/a.png?upload_id=upload-{n:04d}", content=b"x")
    seen, after = [], ""
    while after is not None:
        page = (await client.get(f"/api/v1/uploads?limit=2&after={after}")).json()
        seen += [one["upload_id"] for one in page["uploads"]]
        after = page["next"]
    assert seen == [f"upload-{n:04d}" for n in range(5)]


@pytest.mark.parametrize("query", ["state=gone", "limit=0", "limit=9999", "color=red", "upload_id=.."])
async def test_a_question_that_makes_no_sense_is_told_so(client: UploadClient, query: str) -> None:
    assert (await client.get(f"/api/v1/uploads?{query}")).status_code == 422
