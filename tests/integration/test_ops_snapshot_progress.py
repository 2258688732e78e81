"""The progress of a snapshot, from the events that ingest says of it on a real broker."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from contracts.events import SnapshotProgressed
from services.ops.clients.bus import open_bus
from services.ops.clients.following import packing_progress
from services.ops.clients.requests import request_snapshot
from services.runtime.envelope import encode
from tests.support.probe import until
from tests.support.servers import Broker

pytestmark = pytest.mark.integration


def progressed(request_id: str, shards_done: int) -> SnapshotProgressed:
    return SnapshotProgressed(
        request_id=request_id, snapshot_id="s" * 16, shards=3, shards_done=shards_done, images=30,
        images_done=10 * shards_done, size_bytes=1, progressed_at=datetime.now(UTC),
    )  # fmt: skip


async def test_only_the_progress_of_ones_own_snapshot_is_heard(broker: Broker) -> None:
    await asyncio.to_thread(broker.provision)
    request, other = request_snapshot("ada"), request_snapshot("eve")
    heard: list[tuple[int, int]] = []
    ingest = await broker.client("ingest")
    async with (
        open_bus(broker.url, broker.passwords["ops"], patience_s=10) as bus,
        packing_progress(bus, request, lambda done, total: heard.append((done, total))),
    ):
        told = 0

        async def heard_something() -> bool:
            nonlocal told
            told += 1  # a subscription takes a moment to reach the server
            for name in (other.request_id, request.request_id):
                body, headers = encode(progressed(name, told), "ingest")
                headers["Nats-Msg-Id"] = f"{name}-{told}"
                await ingest.publish(SnapshotProgressed.subject(), body, headers=headers)
            await ingest.publish(SnapshotProgressed.subject(), b"not json")
            await ingest.flush()
            return len(heard) >= 2

        await until(heard_something)
    await ingest.close()
    assert all(total == 30 and done % 10 == 0 for done, total in heard)
    assert [done for done, _ in heard] == sorted({done for done, _ in heard})
