"""BENCH_IMAGES accepted images (50,000) through the real dedup process: rate and memory as it goes.

Each image is a PNG of 64 px in the real S3 server, every tenth a noisy copy of the one before. Ingest accepts
some 30 images/s on the same 2 cores (bench_upload_to_verdict): dedup is no bottleneck while it is faster.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import sqlalchemy as sa
from nats.js import JetStreamContext

from contracts.events import ImageAccepted
from contracts.manifests import Buckets
from tests.support.dedup_house import STREAM, DedupHouse, accepted, picture
from tests.support.servers import Broker, S3Server

IMAGES = int(os.environ.get("BENCH_IMAGES", "50000"))
STEPS = 10
MEBIBYTE = 2**20


def pictures(start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Number and PNG."""
    for number in range(start, end):
        copy = number % 10 == 9
        yield number, picture(1000 * (number - copy), noise=6.0 if copy else 0.0)


def stored(house: DedupHouse, start: int, end: int) -> list[ImageAccepted]:
    """The events of pictures that are in the store."""
    store = house.store

    def put(item: tuple[int, bytes]) -> ImageAccepted:
        number, png = item
        store.put(Buckets.LIBRARY, f"png/{hashlib.sha256(png).hexdigest()}", png)
        return accepted(number, png)

    with ThreadPoolExecutor(4) as threads:
        return list(threads.map(put, pictures(start, end)))


async def say(js: JetStreamContext, events: list[ImageAccepted]) -> None:
    """Publish, a hundred on their way at once."""
    for start in range(0, len(events), 100):
        part = events[start : start + 100]
        await asyncio.gather(
            *(js.publish(one.subject(), one.model_dump_json().encode(), stream=STREAM) for one in part)
        )


def judged(url: str) -> int:
    """Images with a verdict."""
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        found: int = connection.scalar(sa.text("select count(*) from verdict"))
    engine.dispose()
    return found


def test_service(broker: Broker, weed: S3Server, tmp_path: Path) -> None:
    broker.provision()
    asyncio.run(run(broker, weed, tmp_path))


async def run(broker: Broker, weed: S3Server, tmp_path: Path) -> None:
    """Print a line per tenth of the images."""
    house = DedupHouse(broker, weed, f"sqlite:///{tmp_path / 'dedup.sqlite'}", tmp_path / "work")
    client = await broker.client("admin")
    js = client.jetstream(timeout=30)
    print(f"\n{'judged':>8} {'images/s':>9} {'MiB':>6} {'load':>6}")
    async with house.process() as process:
        resident = psutil.Process(process.pid)
        for step in range(STEPS):
            first, last = step * IMAGES // STEPS, (step + 1) * IMAGES // STEPS
            events = await asyncio.to_thread(stored, house, first, last)
            started = time.perf_counter()
            await say(js, events)
            while await asyncio.to_thread(judged, house.database_url) < last:
                await asyncio.sleep(0.2)
            rate = (last - first) / (time.perf_counter() - started)
            memory = resident.memory_info().rss / MEBIBYTE
            print(f"{last:>8} {rate:>9.0f} {memory:>6.0f} {os.getloadavg()[0]:>6.1f}", flush=True)
    await client.close()
