"""The train view over HTTP: images per class under any version, of the library and of a snapshot."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from contracts.commands import AssignLabel
from contracts.manifests import SNAPSHOT_COLUMNS, Buckets
from contracts.values import LabelKind
from services.ingest.http.application import create_http
from services.ingest.store.tables import snapshot
from services.runtime.shards import read_manifest
from tests.support.ingest_house import House
from tests.support.label_desk import ask, outcome
from tests.support.snapshot_desk import library, pack

TOKEN = "test-token"
LIBRARY: list[tuple[str | None, LabelKind | None]] = [
    ("chimp", None), ("chimp", None), ("bonobo", None), ("flamingo/juvenile", None), ("flamingo", None),
    ("Unknown Bird", None), ("popcorn", LabelKind.OUT_OF_SCOPE), ("chimp", LabelKind.REJECTED), (None, None),
]  # fmt: skip


@pytest.fixture
def house(database_url: str, tmp_path: Path) -> Iterator[House]:
    made = House(database_url, tmp_path / "work")
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
async def images(house: House) -> list[str]:
    ids = await library(house, range(len(LIBRARY)))
    for number, (image_id, (label, kind)) in enumerate(zip(ids, LIBRARY, strict=True)):
        if label is not None:
            request = ask(AssignLabel, f"label-{number}", image_id=image_id, label=label)
            await outcome(house, request.model_copy(update={"kind": kind}))
    return ids


async def command(client: httpx.AsyncClient, name: str, **fields: Any) -> httpx.Response:
    return await client.post(f"/api/v1/commands/{name}", json={"by": "ann", **fields})


async def classes(client: httpx.AsyncClient, path: str = "/api/v1/classes", **params: Any) -> dict[str, int]:
    """Images per class; all figures add up."""
    answer = await client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    counted = {one["class_name"]: one["images"] for one in found["classes"]}
    for one in found["classes"]:
        assert sum(sub["images"] for sub in one["sub_classes"]) == one["images"]
        for counted_by_source in (one, *one["sub_classes"]):
            assert sum(counted_by_source["by_source"].values()) == counted_by_source["images"]
    beside = {name: found[name] for name in ("unlabelled", "unknown", "out_of_scope", "rejected")}
    assert beside == dict.fromkeys(beside, 1)
    assert sum(counted.values()) + sum(beside.values()) == found["images"] == len(LIBRARY)
    return counted


async def test_the_train_view_of_each_version_is_what_one_counts_by_hand(
    client: httpx.AsyncClient, images: list[str]
) -> None:
    await command(client, "class.merge", into="chimp-bonobo", members=["chimp", "bonobo"])
    await command(client, "class.merge", into="flamingo", members=["flamingo"])
    await command(client, "class.rename", old="chimp", new="pan/chimp")
    await command(client, "class.split", class_name="flamingo")
    by_version = [await classes(client, taxonomy_version=version) for version in range(5)]
    plain = {"bonobo": 1, "flamingo": 1, "flamingo/juvenile": 1}
    assert by_version == [
        {**plain, "chimp": 2},
        {"chimp-bonobo": 3, "flamingo": 1, "flamingo/juvenile": 1},
        {"chimp-bonobo": 3, "flamingo": 2},
        {"chimp-bonobo": 3, "flamingo": 2},
        {"chimp-bonobo": 3, "flamingo": 1, "flamingo/juvenile": 1},
    ]
    newest = (await client.get("/api/v1/classes")).json()
    assert newest["taxonomy_version"] == 4
    assert newest["classes"][0] == {
        "class_name": "chimp-bonobo", "images": 3, "by_source": {"real": 3, "staged": 0, "synthetic": 0},
        "sub_classes": [
            {"label": "bonobo", "images": 1, "by_source": {"real": 1, "staged": 0, "synthetic": 0}},
            {"label": "pan/chimp", "images": 2, "by_source": {"real": 2, "staged": 0, "synthetic": 0}},
        ],
    }  # fmt: skip
    older = (await client.get("/api/v1/classes", params={"taxonomy_version": 2})).json()
    assert [sub["label"] for sub in older["classes"][0]["sub_classes"]] == ["bonobo", "chimp"]


async def test_any_version_applies_to_any_snapshot(
    house: House, client: httpx.AsyncClient, images: list[str]
) -> None:
    before = await pack(house, 1)
    await command(client, "class.rename", old="chimp", new="pan")
    await command(client, "class.merge", into="chimp-bonobo", members=["pan", "bonobo"])
    after = await pack(house, 2)
    old, new = (f"/api/v1/snapshots/{packed.snapshot_id}/classes" for packed in (before, after))
    flamingos = {"flamingo": 1, "flamingo/juvenile": 1}
    assert await classes(client, old) == {"chimp": 2, "bonobo": 1, **flamingos}
    assert await classes(client, new) == {"chimp-bonobo": 3, **flamingos}
    for path in (old, new):
        assert await classes(client, path, taxonomy_version=0) == {"chimp": 2, "bonobo": 1, **flamingos}
        assert await classes(client, path, taxonomy_version=1) == {"pan": 2, "bonobo": 1, **flamingos}
        assert await classes(client, path, taxonomy_version=2) == {"chimp-bonobo": 3, **flamingos}


async def test_a_snapshot_from_before_there_was_a_taxonomy_is_of_version_0(
    house: House, client: httpx.AsyncClient, images: list[str]
) -> None:
    """Its manifest has no column class_name, and says version 1 where it means none."""
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq
    import sqlalchemy as sa

    packed = await pack(house, 1)
    rows = read_manifest(house.store.get(packed.manifest), SNAPSHOT_COLUMNS)
    old = [
        {
            name: 1 if name == "taxonomy_version" else row[name]
            for name in row
            if name not in ("class_name", "visit")
        }
        for row in rows
    ]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(old), sink)
    ref = house.store.put(Buckets.SNAPSHOTS, "old/manifest.parquet", sink.getvalue())
    await house.database.run(
        lambda unit: unit.connection.execute(sa.update(snapshot).values(manifest=ref.model_dump()))
    )
    path = f"/api/v1/snapshots/{packed.snapshot_id}/classes"
    assert await classes(client, path) == {"chimp": 2, "bonobo": 1, "flamingo": 1, "flamingo/juvenile": 1}


async def test_the_taxonomy_is_told_as_of_every_version(client: httpx.AsyncClient, images: list[str]) -> None:
    assert (await client.get("/api/v1/taxonomy")).json() == {"version": 0, "operations": [], "merged": []}
    answer = await command(
        client, "class.merge", into="chimp-bonobo", members=["chimp", "bonobo"], reason="alike"
    )
    assert (answer.status_code, answer.json()["version"], answer.json()["images"]) == (200, 1, 3)
    await command(client, "class.undo", version=1)
    newest = (await client.get("/api/v1/taxonomy")).json()
    assert (newest["version"], newest["merged"]) == (2, [])
    assert [(one["change"]["kind"], one["undoes"], one["reason"]) for one in newest["operations"]] == [
        ("merge", None, "alike"), ("split", 1, None),
    ]  # fmt: skip
    first = (await client.get("/api/v1/taxonomy/1")).json()
    assert (first["version"], len(first["operations"])) == (1, 1)
    assert first["merged"] == [{"class_name": "chimp-bonobo", "members": ["chimp", "bonobo"]}]


async def test_what_does_not_exist_is_said_in_a_sentence(
    client: httpx.AsyncClient, images: list[str]
) -> None:
    sentence = "there is no version 7 of the taxonomy; the newest is 0"
    for path in ("/api/v1/taxonomy/7", "/api/v1/classes?taxonomy_version=7"):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()) == (404, {"detail": sentence})
    answer = await client.get("/api/v1/snapshots/nothing/classes")
    assert (answer.status_code, answer.json()["detail"]) == (
        404, "no snapshot 'nothing'; GET /api/v1/snapshots lists them",
    )  # fmt: skip
    answer = await command(client, "class.rename", old="zebra", new="horse")
    assert answer.status_code == 404
    assert "nothing is called 'zebra'" in answer.json()["detail"]
    assert (await client.get("/api/v1/classes?taxonomy_version=-1")).status_code == 404
    assert (await client.get("/api/v1/taxonomy/first")).status_code == 422
