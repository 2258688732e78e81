"""The library over HTTP: lists, one image, its bytes, and questions that make no sense."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from services.ingest.http.application import create_http
from tests.support.ingest_house import House
from tests.support.listed_library import VALUES, Picture, expected, fill, merge, picture
from tests.support.pictures import decoded, encoded, noise

TOKEN = "correct horse"
PATH = "/api/v1/images"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(f"sqlite:///{tmp_path}/ingest.sqlite", tmp_path / "work")
    yield made
    made.close()


@pytest.fixture
async def client(house: House) -> AsyncIterator[httpx.AsyncClient]:
    settings = house.settings.model_copy(update={"api_token": SecretStr(TOKEN)})
    app = create_http(house.reception, house.database, settings, house.store)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest", headers=headers) as client:
        yield client


@pytest.fixture
async def pictures(house: House) -> list[Picture]:
    chance = random.Random(5)
    made = [picture(chance, number) for number in range(40)]
    await house.database.run(lambda unit: fill(unit.connection, made))
    await house.database.run(lambda unit: merge(unit.connection))
    return made


def as_query(asked: dict[str, Any]) -> dict[str, Any]:
    names = {"class_name": "class", "flags": "flag"}
    return {names.get(name, name): value for name, value in asked.items()}


async def test_every_filter_is_asked_for_by_its_documented_name(
    client: httpx.AsyncClient, pictures: list[Picture]
) -> None:
    for name, values in VALUES.items():
        for value in values[:4]:
            answer = await client.get(PATH, params=as_query({name: value}))
            assert answer.status_code == 200, answer.text
            ids = [row["image_id"] for row in answer.json()["images"]]
            assert ids == expected(pictures, {name: value}), (name, value)


async def test_an_image_has_the_documented_fields(client: httpx.AsyncClient, pictures: list[Picture]) -> None:
    [row] = (await client.get(PATH, params={"limit": 1})).json()["images"]
    fields = {
        "image_id", "file_name", "label", "kind", "class_name", "source", "guest", "visit", "tags", "taken_at",
        "accepted_at", "benchmark", "verdict", "group", "duplicate_of", "flags", "width_px", "height_px", "image_format",
        "upload_id", "upstream_id", "suggestion", "double_check", "opinions", "disagreement",
    }  # fmt: skip
    assert set(row) == fields
    one = (await client.get(f"{PATH}/{row['image_id']}")).json()
    more = {"quality", "history", "opinion_list", "double_checks", "benchmark_history", "uploads"}
    assert set(one) == fields | more
    assert {name: one[name] for name in fields} == row


async def test_a_merged_class_is_told_and_found(client: httpx.AsyncClient, pictures: list[Picture]) -> None:
    rows = (await client.get(PATH, params={"class": "ape"})).json()["images"]
    assert {row["label"] for row in rows} == {"chimp", "bonobo/old"}
    assert {row["class_name"] for row in rows} == {"ape"}
    unknown = (await client.get(PATH, params={"kind": "unknown"})).json()["images"]
    assert unknown
    assert {row["class_name"] for row in unknown} == {None}


async def test_pages_follow_each_other(client: httpx.AsyncClient, pictures: list[Picture]) -> None:
    seen, after = [], None
    while True:
        page = (await client.get(PATH, params={"limit": 7} | ({"after": after} if after else {}))).json()
        seen += [row["image_id"] for row in page["images"]]
        after = page["next"]
        if after is None:
            break
    assert seen == expected(pictures, {})


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a misspelt filter": ({"lable": "lion"}, "lable"),
    "an unknown flag": ({"flag": ["dark", "ugly"]}, "flag.1"),
    "an unknown kind": ({"kind": "animal"}, "kind"),
    "an unknown source": ({"source": "dream"}, "source"),
    "an unknown verdict": ({"verdict": "maybe"}, "verdict"),
    "neither yes nor no": ({"unlabelled": "perhaps"}, "unlabelled"),
    "an empty label": ({"label": ""}, "label"),
    "an endless label": ({"label": "x" * 10_000}, "label"),
    "an endless file name": ({"file": "x" * 10_000}, "file"),
    "an endless tag": ({"tag": "x" * 10_000}, "tag"),
    "an endless upstream id": ({"upstream_id": "x" * 10_000}, "upstream_id"),
    "a NUL in a label": ({"label": "li\0on"}, "NUL"),
    "a NUL in a class": ({"class": "li\0on"}, "NUL"),
    "a NUL in a guest": ({"guest": "\0"}, "NUL"),
    "a NUL in a file name": ({"file": "\0"}, "NUL"),
    "a page of nothing": ({"limit": 0}, "limit"),
    "a page too long": ({"limit": 1001}, "limit"),
    "a cursor of somebody's own": ({"after": "' OR 1=1 --"}, "after"),
    "a cursor too long": ({"after": "a" * 65}, "after"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_question_that_makes_no_sense_is_refused_by_name(
    client: httpx.AsyncClient, pictures: list[Picture], case: str
) -> None:
    params, words = REFUSED[case]
    answer = await client.get(PATH, params=params)
    assert answer.status_code == 422, answer.text
    assert words in answer.json()["detail"]
    assert len(answer.text) < 1000


@pytest.mark.parametrize("path", ["", f"/{'a' * 64}", f"/{'a' * 64}/original"])
async def test_without_the_token_nothing_is_told(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(PATH + path, headers={"Authorization": "Bearer wrong"})
    assert answer.status_code == 401


async def test_an_unknown_image_is_told_as_such(client: httpx.AsyncClient) -> None:
    for path in (f"{PATH}/{'a' * 64}", f"{PATH}/{'a' * 64}/original"):
        answer = await client.get(path)
        assert answer.status_code == 404
        assert "menagerie images" in answer.json()["detail"]
    assert (await client.get(f"{PATH}/{'A' * 64}")).status_code == 422
    assert (await client.get(f"{PATH}/{'a' * 64}/secret")).status_code == 422


async def test_bytes_come_verified_with_a_safe_name(house: House, client: httpx.AsyncClient) -> None:
    data = encoded(noise(90, 50), "JPEG")
    upload = house.put("upload-0001", data, file_name='../"><script>.exe')
    await house.take(upload)
    image_id = upload.object.sha256
    answer = await client.get(f"{PATH}/{image_id}/original")
    assert (answer.status_code, answer.content) == (200, data)
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["content-length"] == str(len(data))
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"] == f'attachment; filename="{image_id}-original.jpeg"'
    normalised = await client.get(f"{PATH}/{image_id}/normalised")
    assert normalised.headers["content-type"] == "image/png"
    assert decoded(normalised.content).size == (64, 64)
    thumbnail = await client.get(f"{PATH}/{image_id}/thumbnail")
    assert thumbnail.headers["content-type"] == "image/webp"
    assert decoded(thumbnail.content).format == "WEBP"
    assert list((house.settings.work_dir / "uploads").iterdir()) == []


@pytest.mark.parametrize("told", ["{etag}", "W/{etag}", '"other", {etag}', "*"])
async def test_bytes_that_are_known_are_not_sent_again(
    house: House, client: httpx.AsyncClient, told: str
) -> None:
    upload = house.put("upload-0001", encoded(noise(9, 9)))
    await house.take(upload)
    path = f"{PATH}/{upload.object.sha256}/thumbnail"
    etag = (await client.get(path)).headers["etag"]
    again = await client.get(path, headers={"If-None-Match": told.format(etag=etag)})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    other = await client.get(path, headers={"If-None-Match": '"other"'})
    assert other.status_code == 200


async def test_an_original_that_was_not_kept_is_told_and_the_rest_is_there(
    house: House, client: httpx.AsyncClient
) -> None:
    upload = house.put("upload-0001", encoded(noise(9, 9)))
    await house.take(upload)
    del house.store.objects[upload.object.bucket, upload.object.key]  # type: ignore[attr-defined]
    answer = await client.get(f"{PATH}/{upload.object.sha256}/original")
    assert answer.status_code == 404
    assert "was not kept" in answer.json()["detail"]
    assert (await client.get(f"{PATH}/{upload.object.sha256}/normalised")).status_code == 200


async def test_damaged_bytes_never_leave(house: House, client: httpx.AsyncClient) -> None:
    upload = house.put("upload-0001", encoded(noise(9, 9)))
    await house.take(upload)
    house.store.objects[upload.object.bucket, upload.object.key] = b"other"  # type: ignore[attr-defined]
    answer = await client.get(f"{PATH}/{upload.object.sha256}/original")
    assert answer.status_code == 502
    assert "damaged" in answer.json()["detail"]
