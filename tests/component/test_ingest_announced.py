"""What an upstream system announces, and work that is done beside the messages."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.manifests import Buckets
from contracts.values import ObjectRef
from services.ingest.reception.recurring import Recurring
from services.runtime.delivery import Unprocessable
from services.runtime.logs import get_log
from tests.support.ingest_drops import DropHouse
from tests.support.pictures import encoded, noise


@pytest.fixture
def house(tmp_path: Path) -> Iterator[DropHouse]:
    made = DropHouse(tmp_path)
    yield made
    made.close()


async def test_an_announced_object_outside_an_uploaders_buckets_is_refused_unread(house: DropHouse) -> None:
    good = house.put("upload-0001", encoded(noise(9, 9)))
    for bucket, key in [
        (Buckets.LIBRARY, "x"),
        (Buckets.MODELS, "x"),
        (Buckets.INCOMING, "presigned/upload-0002"),
    ]:
        ref = ObjectRef(bucket=bucket, key=key, size=1, sha256="e" * 64)
        with pytest.raises(Unprocessable, match=f"{bucket}/{key}"):
            await house.take(good, good.model_copy(update={"upload_id": "upload-0002", "object": ref}))
    assert await house.said() == []
    await house.take(good)


async def test_an_upload_id_that_was_used_for_other_bytes_hides_nothing(house: DropHouse) -> None:
    one, other = (house.put("upload-0001", encoded(noise(9, 9, seed))) for seed in (1, 2))
    with pytest.raises(Unprocessable, match="upload-0001 was used before"):
        await house.take(one, other)
    await house.take(one, one)
    with pytest.raises(Unprocessable, match="used before"):
        await house.take(other)
    assert (await house.told())["image.accepted"] == 1


async def test_recurring_work_survives_a_fault_and_ends_when_it_is_told(house: DropHouse) -> None:
    rounds: list[int] = []
    hanging = asyncio.Event()

    async def work() -> None:
        rounds.append(len(rounds))
        if len(rounds) == 1:
            raise ConnectionError("the store is away")
        if len(rounds) == 3:
            hanging.set()
            await asyncio.Event().wait()

    recurring = Recurring("test", 0.001, work, get_log("test"))
    await recurring.start()
    await asyncio.wait_for(hanging.wait(), 30)
    await recurring.stop()
    await recurring.stop()
    assert rounds == [0, 1, 2]


async def test_never_means_never(house: DropHouse) -> None:
    recurring = Recurring("test", 0, house.drops.reconcile, get_log("test"))
    await recurring.start()
    await recurring.stop()
    assert house.store.listings == 0
