"""Verdicts, labels and snapshots on real tables."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.commands import AssignLabel, RequestSnapshot
from contracts.events import ImageDeduplicated, ImageLabelled, ImageRelabelled, SnapshotPacked
from contracts.manifests import SNAPSHOT_COLUMNS, Buckets
from contracts.values import DuplicateVerdict, LabelKind
from services.ingest.domain.faults import ImageNotYetKnown
from services.runtime.delivery import Unprocessable
from services.runtime.objectstore import ObjectMissing
from services.runtime.shards import read_manifest
from tests.support.ingest_house import AT, House, MemoryStore, deliveries
from tests.support.pictures import encoded, noise

NOWHERE = "f" * 64


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(f"sqlite:///{tmp_path}/ingest.sqlite", tmp_path / "work")
    yield made
    made.close()


async def stock(house: House, images: int, **fields: object) -> list[str]:
    """Accept so many images; their ids, sorted."""
    await house.take(
        *(house.put(f"upload-{n:04d}", encoded(noise(9, 9, n)), **fields) for n in range(images))
    )
    return [row["image_id"] for row in await house.rows()]


def verdict(image_id: str, revision: int = 1, near: str | None = None) -> ImageDeduplicated:
    return ImageDeduplicated(
        image_id=image_id, revision=revision, group=near or image_id, duplicate_of=near, detector="test",
        verdict=DuplicateVerdict.NEAR if near else DuplicateVerdict.UNIQUE, deduplicated_at=AT,
    )  # fmt: skip


def assign(number: int, image_id: str, label: str, **fields: object) -> AssignLabel:
    values = {"request_id": f"request-{number}", "image_id": image_id, "label": label, "by": "ann", **fields}
    return AssignLabel(requested_at=AT, **values)  # type: ignore[arg-type]


def pack(number: int) -> RequestSnapshot:
    return RequestSnapshot(request_id=f"pack-{number}", by="ann", requested_at=AT)


async def packed(house: House, number: int) -> SnapshotPacked:
    await house.handlers.snapshot(deliveries([pack(number)])[0])
    answer = (await house.said())[-1]
    assert isinstance(answer, SnapshotPacked)
    return answer


def tar_members(path: Path) -> list[str]:
    """What tar itself lists."""
    listed = subprocess.run(["tar", "tf", str(path)], capture_output=True, text=True, check=True)
    assert listed.stderr == ""
    return listed.stdout.split()


async def test_the_verdict_of_the_highest_revision_stays_in_any_order(house: House) -> None:
    one, other = await stock(house, 2)
    told = [verdict(one, 1), verdict(one, 2, other), verdict(one, 3), verdict(one, 4, other), verdict(other)]
    chance = random.Random(7)
    for _ in range(6):
        await house.handlers.verdicts(deliveries(chance.choices(told, k=3)))
    await house.handlers.verdicts(deliveries(chance.sample(told, 5)))
    rows = await house.rows()
    assert [(row["verdict"], row["verdict_revision"], row["duplicate_of"]) for row in rows] == [
        ("near", 4, other), ("unique", 1, None),
    ]  # fmt: skip


async def test_a_verdict_before_its_image_is_tried_again(house: House) -> None:
    with pytest.raises(ImageNotYetKnown, match=NOWHERE):
        await house.handlers.verdicts(deliveries([verdict(NOWHERE)]))


async def test_labels_are_told_first_as_labelled_then_as_relabelled_and_the_history_stays(
    house: House,
) -> None:
    [image_id] = await stock(house, 1)
    requests = [assign(1, image_id, "otter"), assign(2, image_id, "lion", reason="it roars")]
    await house.handlers.requests(deliveries(requests))
    first, second = (await house.said())[1:]
    assert type(first) is ImageLabelled
    assert isinstance(second, ImageRelabelled)
    assert (first.revision, first.label) == (1, "otter")
    assert (second.revision, second.label, second.previous_label, second.reason) == (
        2,
        "lion",
        "otter",
        "it roars",
    )
    assert await house.history() == [(None, "otter"), ("otter", "lion")]


async def test_a_request_heard_again_is_one_change_even_after_another(house: House) -> None:
    [image_id] = await stock(house, 1, label="otter")
    same, other = assign(1, image_id, "otter"), assign(2, image_id, "lion")
    for request in (same, other, same, other, same):
        await house.handlers.requests(deliveries([request]))
    assert await house.history() == [(None, "otter"), ("otter", "lion")]
    assert (await house.told())["image.relabelled"] == 1


async def test_a_kind_that_a_person_names_is_kept(house: House) -> None:
    [image_id] = await stock(house, 1)
    await house.handlers.requests(deliveries([assign(1, image_id, "grey thing\0", kind=LabelKind.UNKNOWN)]))
    [row] = await house.rows()
    assert (row["label"], row["label_kind"]) == ("grey thing\N{REPLACEMENT CHARACTER}", "unknown")


async def test_a_label_for_an_image_that_nobody_uploaded_can_never_succeed(house: House) -> None:
    [image_id] = await stock(house, 1)
    with pytest.raises(Unprocessable, match=NOWHERE):
        await house.handlers.requests(deliveries([assign(1, image_id, "otter"), assign(2, NOWHERE, "lion")]))
    assert await house.history() == []


async def test_a_snapshot_holds_every_image_with_a_verdict_and_reads_as_tar(
    house: House, tmp_path: Path
) -> None:
    ids = await stock(house, 11, label="otter", guest="g1")
    await house.handlers.verdicts(deliveries([verdict(i) for i in ids[:9]] + [verdict(ids[9], 1, ids[0])]))
    answer = await packed(house, 1)
    assert (answer.images, answer.labelled, answer.unlabelled, answer.classes, answer.shards) == (
        10,
        10,
        0,
        1,
        3,
    )
    assert isinstance(house.store, MemoryStore)
    objects = {
        key: data for (bucket, key), data in house.store.objects.items() if bucket == Buckets.SNAPSHOTS
    }
    assert answer.size_bytes == sum(map(len, objects.values()))
    rows = read_manifest(house.store.get(answer.manifest), SNAPSHOT_COLUMNS)
    assert [row["image_id"] for row in rows] == ids[:10]
    assert rows[9]["near_duplicate_of"] == rows[9]["group"] == ids[0]
    normalised = {row["image_id"]: row["normalised"]["sha256"] for row in await house.rows()}
    for row in rows:
        shard = objects[row["shard"]]
        (tmp_path / "image.png").write_bytes(shard[row["offset"] : row["offset"] + row["size"]])
        assert row["sha256"] == normalised[row["image_id"]]
        assert (tmp_path / "image.png").read_bytes()[:4] == b"\x89PNG"
    listed = []
    for key in sorted(objects):
        if key.endswith(".tar"):
            (tmp_path / "shard.tar").write_bytes(objects[key])
            listed += tar_members(tmp_path / "shard.tar")
    assert listed == [f"{image_id}.png" for image_id in ids[:10]]


async def test_the_same_state_is_the_same_snapshot_packed_once_and_answered_each_time(house: House) -> None:
    ids = await stock(house, 5)
    await house.handlers.verdicts(deliveries(map(verdict, ids)))
    first = await packed(house, 1)
    assert isinstance(house.store, MemoryStore)
    puts = house.store.log.count("put snapshots")
    assert puts == 3
    second = await packed(house, 2)
    assert second == first.model_copy(update={"request_id": "pack-2"})
    assert house.store.log.count("put snapshots") == puts
    await house.handlers.snapshot(deliveries([pack(1)])[0])
    assert (await house.told())["library.snapshot-packed"] == 2
    await house.handlers.requests(deliveries([assign(1, ids[0], "otter")]))
    assert (await packed(house, 3)).snapshot_id != first.snapshot_id


async def test_two_libraries_with_the_same_state_pack_the_same_bytes(tmp_path: Path) -> None:
    packs = []
    for name in ("one", "other"):
        house = House(f"sqlite:///{tmp_path}/{name}.sqlite", tmp_path / name)
        try:
            ids = await stock(house, 6, label="otter")
            # Verdicts in another order: the state is what counts, not its history.
            order = ids if name == "one" else ids[::-1]
            for image_id in order:
                await house.handlers.verdicts(deliveries([verdict(image_id)]))
            await packed(house, 1)
            assert isinstance(house.store, MemoryStore)
            packs.append({k: v for k, v in house.store.objects.items() if k[0] == Buckets.SNAPSHOTS})
        finally:
            house.close()
    assert packs[0] == packs[1]
    assert len(packs[0]) == 3


async def test_an_empty_library_packs_to_a_manifest_without_rows(house: House) -> None:
    answer = await packed(house, 1)
    assert (answer.images, answer.shards) == (0, 0)
    assert read_manifest(house.store.get(answer.manifest), SNAPSHOT_COLUMNS) == []


async def test_a_picture_that_the_store_lost_is_a_fault_and_no_snapshot(house: House, tmp_path: Path) -> None:
    ids = await stock(house, 5)
    await house.handlers.verdicts(deliveries(map(verdict, ids)))
    assert isinstance(house.store, MemoryStore)
    lost = (await house.rows())[2]["normalised"]["key"]
    del house.store.objects[Buckets.LIBRARY, lost]
    with pytest.raises(ObjectMissing, match=lost):
        await house.handlers.snapshot(deliveries([pack(1)])[0])
    assert not any(key.endswith("manifest.parquet") for _, key in house.store.objects)
    assert list((tmp_path / "work" / "packing").iterdir()) == []
