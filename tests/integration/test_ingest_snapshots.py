"""Snapshots on real databases and a real S3 server: replicas, ``kill -9``, memory."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import threading
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from contracts.events import SnapshotPacked
from contracts.manifests import Buckets
from contracts.taxonomy import Merge, Operation, Taxonomy
from contracts.values import ObjectRef, Source
from deploy.migrate import upgrade
from services.ingest.domain.shards import Shard, contents, plan
from services.ingest.domain.state import LibraryImage
from services.ingest.packing.packer import MEMORY_BYTES_PER_SHARD, Packer
from services.ingest.packing.snapshots import drafted
from services.ingest.store import snapshots as library
from services.ingest.store.tables import image, shard, snapshot, taxonomy_operation
from services.runtime.objectstore import ObjectDamaged, ObjectMissing, ObjectStore
from tests.support.ingest_house import AT, House, MemoryStore
from tests.support.label_desk import shelve
from tests.support.mortal_packer import SHARD_IMAGES, SHARDS, add_pictures, pictures
from tests.support.servers import S3Server
from tests.support.snapshot_desk import library as taken_in
from tests.support.snapshot_desk import request

pytestmark = pytest.mark.integration

MEBIBYTE = 2**20


@pytest.fixture
def house(database_url: str, tmp_path: Path) -> Iterator[House]:
    upgrade("ingest", database_url)
    made = House(database_url, tmp_path / "work")
    yield made
    made.close()


async def test_replicas_that_number_at_once_leave_no_gap_and_overfill_no_shard(
    house: House, database_url: str, tmp_path: Path
) -> None:
    other = House(database_url, tmp_path / "other", house.store)
    ids = await house.database.run(lambda unit: shelve(unit.connection, 90))
    chance = random.Random(3)
    chance.shuffle(ids)

    def judge(image_ids: list[str]) -> sa.Update:
        return sa.update(image).where(image.c.image_id.in_(image_ids)).values(verdict="unique", group_id="g")

    try:
        for start in range(0, 90, 10):
            await asyncio.gather(
                house.database.run(lambda unit, s=start: unit.connection.execute(judge(ids[s : s + 10]))),
                *(one.database.run(lambda unit: library.number_images(unit.connection, 7)) for one in (house, other, house)),
            )  # fmt: skip
        await other.database.run(lambda unit: library.number_images(unit.connection, 7))
    finally:
        other.close()
    sizes = Counter(row["shard_number"] for row in await house.rows())
    assert sizes == Counter(number // 7 for number in range(90))


async def test_labels_and_taxonomy_are_those_of_one_moment(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await taken_in(house, range(2), label="chimp")
    await house.database.run(lambda unit: library.number_images(unit.connection, 7))
    merge = Operation(version=1, change=Merge(into="ape", members=("chimp",)), by="ann", at=AT)
    insert = sa.insert(taxonomy_operation).values(version=1, operation=merge.model_dump(mode="json"))
    read = library.current_taxonomy

    def after_a_change(connection: sa.Connection) -> Taxonomy:
        with house.database.engine.begin() as another:
            another.execute(insert)
        return read(connection)

    monkeypatch.setattr(library, "current_taxonomy", after_a_change)
    images, taxonomy = await house.database.read(library.library_state)
    assert (len(images), taxonomy.version) == (2, 0)
    monkeypatch.undo()
    assert (await house.database.read(library.library_state))[1].version == 1


async def killed_or_done(database_url: str, weed: S3Server, seed: int, *die_in: str) -> int:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.mortal_packer", database_url, weed.settings.s3_endpoint, str(seed), *die_in
    )  # fmt: skip
    async with asyncio.timeout(120):
        return await process.wait()


def expected_bytes(shard: Shard, made: dict[str, bytes]) -> bytes:
    return b"".join(contents(shard, (made[member.image_id] for member in shard.members)))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_pack_that_is_killed_goes_on_and_ends_with_the_same_bytes(
    house: House, database_url: str, weed: S3Server
) -> None:
    store, seed = weed.store(), 1
    made = pictures(seed)
    await house.database.run(lambda unit: add_pictures(unit.connection, made))
    await house.database.run(lambda unit: library.number_images(unit.connection, SHARD_IMAGES))
    draft = drafted(*await house.database.read(library.library_state), 299)
    first, second = (planned.key for planned in draft.shards)
    assert len(draft.shards) == SHARDS

    assert await killed_or_done(database_url, weed, seed, "1") == -signal.SIGKILL
    assert [row["key"] for row in await house.rows(shard)] == [first]
    assert not store.exists(Buckets.SNAPSHOTS, second)
    assert await house.rows(snapshot) == []
    assert list(store.list(Buckets.SNAPSHOTS, f"{draft.snapshot_id}/")) == []
    stands_since = store._client.stat_object(Buckets.SNAPSHOTS, first).last_modified

    assert await killed_or_done(database_url, weed, seed) == 0
    assert store._client.stat_object(Buckets.SNAPSHOTS, first).last_modified == stands_since
    [packed] = [m for m in await house.said() if isinstance(m, SnapshotPacked)]
    assert (packed.snapshot_id, packed.shards, packed.shards_reused) == (draft.snapshot_id, 2, 1)
    for planned in draft.shards:
        data = store.read_range(Buckets.SNAPSHOTS, planned.key, 0, planned.size_bytes)
        assert data == expected_bytes(planned, made)
    assert (await house.told())["library.snapshot-progressed"] == 2


def made_up(images: int, image_bytes: int) -> list[Shard]:
    refs = [
        ObjectRef(bucket="library", key=f"{n}", size=image_bytes, sha256=f"{n:064x}") for n in range(images)
    ]
    return plan(
        LibraryImage(ref.sha256, ref, None, None, Source.REAL, None, None, ref.sha256, None, None, 0)
        for ref in refs
    )


async def test_packing_holds_a_few_parts_in_memory_however_big_the_shard_is(
    object_store: ObjectStore,
) -> None:
    shards = made_up(96 * 8, MEBIBYTE // 8)
    packer = Packer(
        object_store, lambda image: bytes(image.normalised.size), shard_threads=1, fetch_threads=4
    )
    tracemalloc.start()
    try:
        assert [packed async for packed in packer.pack(shards)] == shards
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most_bytes < MEMORY_BYTES_PER_SHARD + 8 * MEBIBYTE < shards[0].size_bytes / 2


@pytest.mark.parametrize("fault", [ObjectMissing, ObjectDamaged])
async def test_a_picture_that_is_lost_or_damaged_is_told_by_its_name_and_leaves_no_shard(
    weed: S3Server, database_url: str, tmp_path: Path, fault: type[Exception]
) -> None:
    store = weed.store()
    upgrade("ingest", database_url)
    house = House(database_url, tmp_path / "work", store)
    seed = 1000 * len(database_url)
    try:
        await taken_in(house, range(seed, seed + 3))
        key = (await house.rows())[1]["normalised"]["key"]
        if fault is ObjectMissing:
            store._client.remove_object(Buckets.LIBRARY, key)
        else:
            store.put(Buckets.LIBRARY, key, b"something else")
        with pytest.raises(fault, match=key):
            await house.handlers._snapshots.answer(request(1))
        assert await house.rows(shard) == await house.rows(snapshot) == []
        assert "library.snapshot-packed" not in await house.told()
    finally:
        house.close()


async def test_a_pack_is_given_up_soon_when_its_handler_is_cancelled() -> None:
    reached, held = asyncio.Event(), made_up(5000, 200_000)
    loop, slow = asyncio.get_running_loop(), threading.Event()
    fetched: list[str] = []

    def fetch(wanted: LibraryImage) -> bytes:
        fetched.append(wanted.image_id)
        loop.call_soon_threadsafe(reached.set)
        slow.wait(0.002)
        return bytes(wanted.normalised.size)

    packer = Packer(MemoryStore(), fetch, shard_threads=1, fetch_threads=1)

    async def consume() -> None:
        async for _ in packer.pack(held):
            raise AssertionError("it was cancelled before any shard was complete")

    task = asyncio.create_task(consume())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(fetched) < 5000
