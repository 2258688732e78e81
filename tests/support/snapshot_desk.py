"""Asks a house of ingest for snapshots, and looks into them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from contracts.commands import RequestSnapshot
from contracts.events import ImageDeduplicated, SnapshotPacked
from contracts.manifests import SNAPSHOT_COLUMNS, Buckets
from contracts.values import DuplicateVerdict
from services.runtime.shards import read_manifest
from tests.support.ingest_house import AT, House, MemoryStore, deliveries
from tests.support.pictures import encoded, noise


def verdict(image_id: str, near: str | None = None) -> ImageDeduplicated:
    """Dedup's first word on an image."""
    return ImageDeduplicated(
        image_id=image_id, revision=1, group=near or image_id, duplicate_of=near, detector="test",
        verdict=DuplicateVerdict.NEAR if near else DuplicateVerdict.UNIQUE, deduplicated_at=AT,
    )  # fmt: skip


async def stock(house: House, numbers: Iterable[int], **fields: Any) -> list[str]:
    """Take in the pictures of these numbers; the ids of all images, sorted."""
    uploads = [house.put(f"upload-{n:04d}", encoded(noise(9, 9, n)), **fields) for n in numbers]
    await house.take(*uploads)
    return [row["image_id"] for row in await house.rows()]


async def judge(house: House, image_ids: Iterable[str]) -> None:
    """Dedup finds them unique."""
    await house.handlers.verdicts(deliveries(map(verdict, image_ids)))


async def library(house: House, numbers: Iterable[int], **fields: Any) -> list[str]:
    """Pictures that are ready to be packed; the ids of all images, sorted."""
    ids = await stock(house, numbers, **fields)
    await judge(house, ids)
    return ids


def request(number: int) -> RequestSnapshot:
    """A request of ann's."""
    return RequestSnapshot(request_id=f"pack-{number}", by="ann", requested_at=AT)


async def pack(house: House, number: int) -> SnapshotPacked:
    """Ask, and give the answer."""
    await house.handlers.snapshot(deliveries([request(number)])[0])
    answer = (await house.said())[-1]
    assert isinstance(answer, SnapshotPacked)
    return answer


def manifest(house: House, packed: SnapshotPacked) -> list[dict[str, Any]]:
    """The rows."""
    return read_manifest(house.store.get(packed.manifest), SNAPSHOT_COLUMNS)


def kept(house: House, suffix: str = "") -> dict[str, bytes]:
    """Objects of the snapshots bucket by key."""
    assert isinstance(house.store, MemoryStore)
    return {
        key: data
        for (bucket, key), data in house.store.objects.items()
        if bucket == Buckets.SNAPSHOTS and key.endswith(suffix)
    }


def shard_keys(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Each shard once, sorted."""
    return sorted({row["shard"] for row in rows})


def tar_lists(path: Path) -> list[str]:
    """What GNU tar lists, without a complaint."""
    listed = subprocess.run(["tar", "tf", str(path)], capture_output=True, text=True, check=True)
    assert listed.stderr == ""
    return listed.stdout.split()
