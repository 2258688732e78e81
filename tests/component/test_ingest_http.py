"""HTTP upload: what is taken, what is refused, and what a retry changes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from contracts.events import ImageUploaded
from contracts.manifests import Buckets
from contracts.values import Source
from services.ingest.http.application import create_http
from tests.support.ingest_house import House, MemoryStore
from tests.support.pictures import HOSTILE_NAMES, encoded, noise

TOKEN = "correct horse"
BOUNDARY = "frontier"
PATH = "/api/v1/images"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(f"sqlite:///{tmp_path}/ingest.sqlite", tmp_path / "work")
    yield made
    made.close()


@pytest.fixture
async def client(house: House) -> AsyncIterator[httpx.AsyncClient]:
    limits = {"max_file_bytes": 600_000, "max_request_bytes": 1_500_000, "max_request_files": 4}
    settings = house.settings.model_copy(update={"api_token": SecretStr(TOKEN), **limits})
    transport = httpx.ASGITransport(
        create_http(house.reception, house.database, settings, house.store), raise_app_exceptions=False
    )
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest", headers=headers) as client:
        yield client


def form(files: Sequence[bytes], metas: object = None, **fields: Any) -> dict[str, Any]:
    if metas is None:
        metas = [{"upload_id": f"upload-{number:04d}", **fields} for number in range(len(files))]
    text = metas if isinstance(metas, str) else json.dumps(metas)
    return {"data": {"meta": text}, "files": [("files", (f"{n}.png", data)) for n, data in enumerate(files)]}


def spooled(house: House) -> list[Path]:
    return [path for path in (house.settings.work_dir / "uploads").rglob("*") if path.is_file()]


async def announced(house: House) -> list[ImageUploaded]:
    return [message for message in await house.said() if isinstance(message, ImageUploaded)]


async def test_files_are_durable_before_they_are_announced(house: House, client: httpx.AsyncClient) -> None:
    files = [encoded(noise(9, 9)), b"", b"no picture"]
    answer = await client.post(
        PATH, **form(files, label="otter", source="staged", guest="g", benchmark="difficult")
    )
    assert answer.status_code == 202
    told = await announced(house)
    assert answer.json() == {
        "received": [
            {"upload_id": f"upload-{n:04d}", "image_id": m.object.sha256} for n, m in enumerate(told)
        ]
    }
    assert [house.store.get(message.object) for message in told] == files
    assert (told[0].label, told[0].source, told[0].benchmark) == ("otter", Source.STAGED, "difficult")
    assert [message.file_name for message in told] == ["0.png", "1.png", "2.png"]
    assert isinstance(house.store, MemoryStore)
    assert house.store.log == ["put incoming"] * 3 + ["sync"]


async def test_what_is_announced_can_be_taken_in(house: House, client: httpx.AsyncClient) -> None:
    await client.post(PATH, **form([encoded(noise(9, 9)), b"", b"no picture"]))
    await house.take(*await announced(house))
    told = await house.told()
    assert (told["image.accepted"], told["image.rejected"]) == (1, 2)


async def test_a_repeated_request_is_answered_the_same_and_changes_nothing(
    house: House, client: httpx.AsyncClient
) -> None:
    request = form([encoded(noise(9, 9, 1)), encoded(noise(9, 9, 2))])
    first = await client.post(PATH, **request)
    await house.take(*await announced(house))
    before = await house.said()
    assert isinstance(house.store, MemoryStore)
    puts = len(house.store.log)
    again = await client.post(PATH, **request)
    assert (again.status_code, again.json()) == (202, first.json())
    assert await house.said() == before
    assert len(house.store.log) == puts


async def test_known_bytes_are_not_put_again_unless_the_store_lost_them(
    house: House, client: httpx.AsyncClient
) -> None:
    data = encoded(noise(9, 9))
    assert isinstance(house.store, MemoryStore)
    for number in range(2):
        await client.post(PATH, **form([data], [{"upload_id": f"retry-{number:04d}"}]))
    assert house.store.log == ["put incoming", "sync"]
    house.store.objects.clear()
    await client.post(PATH, **form([data], [{"upload_id": "heal-0001"}]))
    assert house.store.log == ["put incoming", "sync"] * 2


async def test_an_upload_id_cannot_be_used_for_another_file(house: House, client: httpx.AsyncClient) -> None:
    await client.post(PATH, **form([b"one"]))
    answer = await client.post(PATH, **form([b"other"]))
    assert answer.status_code == 409
    assert "upload-0000" in answer.json()["detail"]
    assert len(await announced(house)) == 1


async def test_a_large_file_goes_through_the_disk_and_leaves_nothing_there(
    house: House, client: httpx.AsyncClient
) -> None:
    large = bytes(range(256)) * 2300
    answer = await client.post(PATH, **form([b"small", large]))
    assert answer.status_code == 202
    told = await announced(house)
    assert [house.store.get(message.object) for message in told] == [b"small", large]
    assert spooled(house) == []


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", "Bearer correct hors\u00e9"]
)
async def test_without_the_token_nothing_is_read(
    house: House, client: httpx.AsyncClient, header: str
) -> None:
    answer = await client.post(PATH, **form([b"x"]), headers={b"Authorization": header.encode("latin-1")})  # type: ignore[dict-item]
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "Authorization" in answer.json()["detail"]
    assert await house.said() == []


async def test_an_unset_token_lets_nobody_in(house: House) -> None:
    transport = httpx.ASGITransport(create_http(house.reception, house.database, house.settings, house.store))
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as client:
        for header in ("Bearer ", "Bearer"):
            answer = await client.post(PATH, **form([b"x"]), headers={"Authorization": header})
            assert answer.status_code == 401


REFUSED: dict[str, tuple[dict[str, Any], int, str]] = {
    "too many files": (form([b"x"] * 5), 413, "at most 4 files"),
    "a file too large": (form([b"fine", b"x" * 600_001]), 413, "'1.png' is larger than 600000"),
    "a request too large": (form([b"x" * 500_000] * 4), 413, "larger than 1500000"),
    "meta too large": (form([b"x"], "[" + " " * 1_100_000 + "]"), 413, "'meta' is larger"),
    "meta that is no JSON": (form([b"x"], "{"), 422, "'meta': JSON"),
    "meta that is no list": (form([b"x"], {"upload_id": "upload-0000"}), 422, "valid array"),
    "meta with a lone surrogate": (form([b"x"], '[{"upload_id":"upload-0000","label":"\\ud800"}]'), 422, "meta"),
    "an impossible upload id": (form([b"x"], [{"upload_id": "../../etc"}]), 422, "0.upload_id"),
    "a label too long": (form([b"x"], label="a" * 201), 422, "0.label"),
    "an unknown source": (form([b"x"], source="dream"), 422, "0.source"),
    "a misspelt field": (form([b"x"], lable="otter"), 422, "0.lable"),
    "a time without zone": (form([b"x"], taken_at="2026-01-01T00:00:00"), 422, "0.taken_at"),
    "fewer entries than files": (form([b"x", b"y"], [{"upload_id": "upload-0000"}]), 422, "1 entries for 2 files"),
    "one upload id for two files": (form([b"x", b"y"], [{"upload_id": "upload-0000"}] * 2), 422, "twice"),
    "no files": ({"files": [("meta", (None, "[]"))]}, 422, "no 'files'"),
    "no form": ({"content": b"{}", "headers": {"Content-Type": "application/json"}}, 415, "multipart/form-data"),
    "another field": ({"files": [("picture", ("a.png", b"x"))]}, 422, "picture"),
    "a cut body": (
        {
            "content": f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nabc'.encode(),
            "headers": {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"},
        },
        400, "before its last boundary",
    ),
    "a malformed body": (
        {"content": b"garbage", "headers": {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}},
        400, "malformed",
    ),
    "a part with an endless header": (
        {
            "content": f"--{BOUNDARY}\r\n".encode() + b"X-A: " + b"a" * 100_000,
            "headers": {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"},
        },
        400, "header",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
async def test_a_request_that_cannot_be_taken_says_why_and_leaves_nothing(
    house: House, client: httpx.AsyncClient, case: str
) -> None:
    request, status, words = REFUSED[case]
    answer = await client.post(PATH, **request)
    assert answer.status_code == status, answer.text
    assert words in answer.json()["detail"]
    assert await house.said() == []
    assert spooled(house) == []
    assert isinstance(house.store, MemoryStore)
    assert house.store.objects == {}


async def test_hostile_names_are_taken_as_text(house: House, client: httpx.AsyncClient) -> None:
    for start in range(0, len(HOSTILE_NAMES), 4):
        names = HOSTILE_NAMES[start : start + 4]
        metas = [
            {"upload_id": f"hostile-{start + n:04d}", "file_name": name, "label": " "}
            for n, name in enumerate(names)
        ]
        answer = await client.post(PATH, **form([name.encode() or b"x" for name in names], metas))
        assert answer.status_code == 202, answer.text
    told = await announced(house)
    assert [m.file_name for m in told] == [
        n.replace("\0", "\N{REPLACEMENT CHARACTER}") for n in HOSTILE_NAMES
    ]
    assert {m.label for m in told} == {None}
    assert all(m.object.bucket == Buckets.INCOMING and m.object.key == m.object.sha256 for m in told)


async def test_a_store_that_is_away_is_told_as_such_and_nothing_is_announced(
    house: House, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_args: object, **_options: object) -> None:
        raise ConnectionError("no route to store")

    monkeypatch.setattr(house.store, "put", away)
    answer = await client.post(PATH, **form([b"x"]))
    assert answer.status_code == 503
    assert "again" in answer.json()["detail"]
    assert await house.said() == []
    assert spooled(house) == []
