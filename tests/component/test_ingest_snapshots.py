"""Snapshots on real tables: what they hold, what a change of the library changes of them."""

from __future__ import annotations

import asyncio
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
import webdataset as wds
from pydantic import SecretStr

from contracts.commands import AssignLabel
from contracts.events import SnapshotPacked, SnapshotProgressed
from contracts.manifests import Buckets
from contracts.taxonomy import Merge, Operation, Taxonomy
from contracts.values import DuplicateVerdict, LabelKind
from services.ingest.http.application import create_http
from services.ingest.store.tables import image, shard, snapshot, taxonomy_operation
from services.runtime.objectstore import ObjectMissing
from tests.support.ingest_house import AT, SHARD_IMAGES, House, MemoryStore, deliveries
from tests.support.label_desk import ask, hear
from tests.support.snapshot_desk import (
    judge,
    kept,
    library,
    manifest,
    pack,
    request,
    shard_keys,
    stock,
    tar_lists,
    verdict,
)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(f"sqlite:///{tmp_path}/ingest.sqlite", tmp_path / "work")
    yield made
    made.close()


async def label(house: House, number: int, image_id: str, text: str, **fields: Any) -> None:
    await hear(house, ask(AssignLabel, f"label-{number}", image_id=image_id, label=text, **fields))


async def merge(house: House, version: int, into: str, *members: str) -> Operation:
    made = Operation(version=version, change=Merge(into=into, members=members), by="ann", at=AT)
    row = {"version": version, "operation": made.model_dump(mode="json")}
    await house.database.run(lambda unit: unit.connection.execute(sa.insert(taxonomy_operation), [row]))
    return made


async def test_a_snapshot_holds_every_image_with_a_verdict(house: House) -> None:
    ids = await stock(house, range(11), label="otter", guest="g1")
    await house.handlers.verdicts(deliveries([verdict(i) for i in ids[:9]] + [verdict(ids[9], ids[0])]))
    await house.database.run(lambda unit: unit.connection.execute(sa.update(image).values(visit="morning")))
    answer = await pack(house, 1)
    assert (answer.images, answer.labelled, answer.unlabelled, answer.classes) == (10, 10, 0, 1)
    assert (answer.shards, answer.shards_reused) == (3, 0)
    assert answer.size_bytes == sum(map(len, kept(house).values()))
    rows = manifest(house, answer)
    assert [row["image_id"] for row in rows] == ids[:10]
    assert rows[9]["near_duplicate_of"] == rows[9]["group"] == ids[0]
    assert {(row["guest"], row["visit"], row["class_name"]) for row in rows} == {("g1", "morning", "otter")}
    normalised = {
        row["image_id"]: house.store.objects[Buckets.LIBRARY, row["normalised"]["key"]]
        for row in await house.rows()
    }  # type: ignore[attr-defined]
    shards = kept(house, ".tar")
    for row in rows:
        assert (
            shards[row["shard"]][row["offset"] : row["offset"] + row["size"]] == normalised[row["image_id"]]
        )


async def test_a_photo_of_a_burst_stays_in_the_data_set_and_in_its_group(house: House) -> None:
    first, second = await stock(house, range(2), label="otter", guest="g1")
    shot = verdict(second, first).model_copy(update={"verdict": DuplicateVerdict.BURST})
    await house.handlers.verdicts(deliveries([verdict(first), shot]))
    rows = manifest(house, await pack(house, 1))
    assert [(row["image_id"], row["group"], row["near_duplicate_of"]) for row in rows] == [
        (first, first, None), (second, first, None),
    ]  # fmt: skip


async def test_tar_and_tarfile_and_webdataset_read_every_shard(house: House, tmp_path: Path) -> None:
    ids = await library(house, range(7))
    rows = manifest(house, await pack(house, 1))
    places = {row["image_id"]: (row["shard"], row["offset"], row["size"]) for row in rows}
    for number, (key, data) in enumerate(sorted(kept(house, ".tar").items())):
        path = tmp_path / f"{number}.tar"
        path.write_bytes(data)
        members = [image_id for image_id in ids if places[image_id][0] == key]
        assert tar_lists(path) == [f"{image_id}.png" for image_id in members]
        pngs = [data[offset : offset + size] for _, offset, size in map(places.__getitem__, members)]
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            assert [tar.extractfile(member).read() for member in tar] == pngs  # type: ignore[union-attr]
        samples = list(wds.WebDataset(str(path), shardshuffle=False))
        assert [(sample["__key__"], sample["png"]) for sample in samples] == list(
            zip(members, pngs, strict=True)
        )


async def test_the_same_state_is_packed_once_and_answered_each_time(house: House) -> None:
    await library(house, range(5))
    first = await pack(house, 1)
    assert isinstance(house.store, MemoryStore)
    house.store.log.clear()
    assert await pack(house, 2) == first.model_copy(update={"request_id": "pack-2"})
    await house.handlers.snapshot(deliveries([request(1)])[0])
    assert house.store.log == []
    assert (await house.told())["library.snapshot-packed"] == 2


async def test_two_requests_at_once_pack_once(house: House) -> None:
    await library(house, range(5))
    assert isinstance(house.store, MemoryStore)
    house.store.log.clear()
    await asyncio.gather(*(house.handlers.snapshot(one) for one in deliveries([request(1), request(2)])))
    assert house.store.log.count("put snapshots") == 3
    assert (await house.told())["library.snapshot-packed"] == 2


async def test_a_state_gives_the_same_bytes_in_another_database(house: House, tmp_path: Path) -> None:
    other = House(f"sqlite:///{tmp_path}/other.sqlite", tmp_path / "other")
    try:
        for each in (house, other):
            ids = await stock(each, range(6), label="otter")
            # Verdicts in another order: the state is what counts, not its history.
            await judge(each, ids if each is house else ids[::-1])
        one, two = await pack(house, 1), await pack(other, 1)
        assert two == one.model_copy(update={"packed_at": two.packed_at})
        assert kept(house) == kept(other)
        assert len(kept(house)) == 3
    finally:
        other.close()


async def test_a_state_gives_the_same_bytes_after_a_restart_that_forgot_what_was_packed(
    house: House, tmp_path: Path
) -> None:
    await library(house, range(6), label="otter")
    await pack(house, 1)
    bare = MemoryStore()
    assert isinstance(house.store, MemoryStore)
    bare.objects = {at: data for at, data in house.store.objects.items() if at[0] != Buckets.SNAPSHOTS}
    again = House(str(house.database.engine.url), tmp_path / "again", bare)
    try:
        for table in (snapshot, shard):
            await again.database.run(lambda unit, table=table: unit.connection.execute(sa.delete(table)))
        await pack(again, 2)
        assert kept(again) == kept(house)
    finally:
        again.close()


async def test_relabelling_an_image_changes_its_row_alone_and_no_shard(house: House) -> None:
    ids = await library(house, range(6), label="otter")
    first = await pack(house, 1)
    before, shards = manifest(house, first), kept(house, ".tar")
    await label(house, 1, ids[2], "lion")
    assert isinstance(house.store, MemoryStore)
    house.store.log.clear()
    second = await pack(house, 2)
    after = manifest(house, second)
    changed = [new for old, new in zip(before, after, strict=True) if old != new]
    assert changed == [before[2] | {"label": "lion", "class_name": "lion"}]
    assert second.snapshot_id != first.snapshot_id
    assert (second.shards, second.shards_reused, first.shards_reused) == (2, 2, 0)
    assert house.store.log.count("put snapshots") == 1  # the manifest
    assert kept(house, ".tar") == shards


async def test_new_images_fill_the_last_shard_and_full_ones_stay(house: House) -> None:
    await library(house, range(SHARD_IMAGES + 2))
    first = await pack(house, 1)
    before = manifest(house, first)
    full = {row["image_id"]: row["shard"] for row in before}
    await library(house, range(SHARD_IMAGES + 2, 2 * SHARD_IMAGES + 3))
    second = await pack(house, 2)
    rows = manifest(house, second)
    assert (second.shards, second.shards_reused) == (3, 1)
    assert [row["image_id"] for row in rows] == sorted(row["image_id"] for row in rows)
    members = {key: [row["image_id"] for row in rows if row["shard"] == key] for key in shard_keys(rows)}
    assert sorted(map(len, members.values())) == [3, SHARD_IMAGES, SHARD_IMAGES]
    [reused] = members.keys() & full.values()
    assert members[reused] == [image_id for image_id, key in full.items() if key == reused]
    # The earlier snapshot still reads: what it names is never written again.
    assert manifest(house, first) == before
    assert set(shard_keys(before)) <= kept(house).keys()


async def test_a_shard_that_the_store_lost_is_packed_again(house: House) -> None:
    await library(house, range(6))
    first = await pack(house, 1)
    shards = kept(house, ".tar")
    assert isinstance(house.store, MemoryStore)
    del house.store.objects[Buckets.SNAPSHOTS, max(shards)]
    await library(house, [6])
    second = await pack(house, 2)
    rows = manifest(house, second)
    assert set(shard_keys(rows)) <= kept(house).keys()
    assert second.snapshot_id != first.snapshot_id


async def test_classes_follow_the_taxonomy_and_its_versions_stand_beside_the_snapshot(house: House) -> None:
    ids = await library(house, range(5))
    kinds = [LabelKind.CLASS, LabelKind.CLASS, LabelKind.UNKNOWN, LabelKind.REJECTED]
    for number, (text, kind) in enumerate(
        zip(["chimp", "bonobo", "Unknown ape", "blurred"], kinds, strict=True)
    ):
        await label(house, number, ids[number], text, kind=kind)
    first = await pack(house, 1)
    assert (first.taxonomy_version, first.classes, first.labelled, first.unlabelled) == (0, 2, 4, 1)
    operation = await merge(house, 1, "chimp-bonobo", "chimp", "bonobo")
    second = await pack(house, 2)
    rows = manifest(house, second)
    assert [row["class_name"] for row in rows] == ["chimp-bonobo", "chimp-bonobo", None, None, None]
    assert [row["label_kind"] for row in rows] == [*map(str, kinds), None]
    assert [row["label"] for row in rows] == ["chimp", "bonobo", "Unknown ape", "blurred", None]
    assert {row["taxonomy_version"] for row in rows} == {second.taxonomy_version} == {1}
    assert (second.classes, second.shards_reused) == (1, 2)
    assert second.taxonomy is not None
    assert (second.taxonomy.bucket, second.taxonomy.key) == (Buckets.LIBRARY, "taxonomy/1.json")
    assert Taxonomy.model_validate_json(house.store.get(second.taxonomy)) == Taxonomy(operations=(operation,))
    assert first.taxonomy is not None
    assert Taxonomy.model_validate_json(house.store.get(first.taxonomy)) == Taxonomy()


async def test_an_empty_library_packs_to_a_manifest_without_rows(house: House) -> None:
    answer = await pack(house, 1)
    assert (answer.images, answer.shards) == (0, 0)
    assert manifest(house, answer) == []


async def test_progress_is_told_after_each_shard_and_counts_what_is_reused(house: House) -> None:
    await library(house, range(6))
    await pack(house, 1)
    ids = await library(house, range(6, 14))
    packed = await pack(house, 2)
    told = [m for m in await house.said() if isinstance(m, SnapshotProgressed) and m.request_id == "pack-2"]
    assert [(m.shards_done, m.shards, m.images) for m in told] == [(n, 4, 14) for n in (2, 3, 4)]
    assert told[-1].images_done == len(ids) == 14
    assert {m.snapshot_id for m in told} == {packed.snapshot_id}
    assert told[-1].size_bytes == packed.size_bytes - packed.manifest.size


async def test_a_picture_that_the_store_lost_is_a_fault_and_no_snapshot(house: House) -> None:
    await library(house, range(5))
    assert isinstance(house.store, MemoryStore)
    lost = (await house.rows())[2]["normalised"]["key"]
    data = house.store.objects.pop((Buckets.LIBRARY, lost))
    with pytest.raises(ObjectMissing, match=lost):
        await house.handlers.snapshot(deliveries([request(1)])[0])
    assert kept(house, "manifest.parquet") == {}
    assert await house.rows(snapshot) == []
    house.store.objects[Buckets.LIBRARY, lost] = data
    assert (await pack(house, 1)).images == 5


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("commit", range(1, 5))
async def test_a_crash_at_any_commit_leaves_no_half_snapshot_and_the_next_attempt_ends_it(
    house: House, commit: int, *, after: bool
) -> None:
    await library(house, range(7))
    house.database.commits = 0  # numbering, two shards, the answer
    crash = frozenset([commit])
    house.database.before, house.database.after = (frozenset(), crash) if after else (crash, frozenset())
    with pytest.raises(ConnectionError):
        await house.handlers.snapshot(deliveries([request(1)])[0])
    answers = [m for m in await house.said() if isinstance(m, SnapshotPacked)]
    done = after and commit == 4
    assert len(answers) == len(await house.rows(snapshot)) == done
    noted = len(await house.rows(shard))
    await house.handlers.snapshot(deliveries([request(1)])[0])
    [answer] = [m for m in await house.said() if isinstance(m, SnapshotPacked)]
    assert set(shard_keys(manifest(house, answer))) == kept(house, ".tar").keys()
    assert answer.shards_reused == (0 if done else noted)


async def test_snapshots_are_listed_newest_first_and_shown_alone(house: House) -> None:
    await library(house, range(5))
    first = await pack(house, 1)
    await library(house, range(5, 7))
    second = await pack(house, 2)
    shown = [packed.model_dump(mode="json", exclude={"request_id"}) for packed in (second, first)]
    settings = house.settings.model_copy(update={"api_token": SecretStr("token")})
    app = create_http(house.reception, house.database, settings, house.store)
    headers = {"Authorization": "Bearer token"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://ingest", headers=headers
    ) as client:
        assert (await client.get("/api/v1/snapshots")).json() == {"snapshots": shown}
        assert (await client.get("/api/v1/snapshots", params={"limit": 1})).json() == {"snapshots": shown[:1]}
        assert (await client.get(f"/api/v1/snapshots/{first.snapshot_id}")).json() == shown[1]
        missing = await client.get(f"/api/v1/snapshots/{'0' * 16}")
        assert (missing.status_code, "GET /api/v1/snapshots" in missing.json()["detail"]) == (404, True)
        assert (await client.get("/api/v1/snapshots/%00")).status_code == 422
        assert (await client.get("/api/v1/snapshots", params={"limit": 0})).status_code == 422
        assert (await client.get("/api/v1/snapshots", headers={"Authorization": "no"})).status_code == 401
