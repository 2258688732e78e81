"""From upload to ``image.deduplicated`` through the real services, beside one process that only decodes and puts.

``BENCH_IMAGES`` (1,000) sets how many photos, ``BENCH_SIDE_PX`` (500) their longer side. The memory of
ingest and its decoders is sampled all along: its last quarter beside its second tells whether it grows.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import nats
import numpy as np
import psutil
from minio import Minio
from PIL import Image

from services.ingest.domain.normalise import PNG_OPTIONS
from services.ops.clients.plan import UploadRules, plan_uploads
from services.ops.clients.ulid import UlidSource
from services.ops.clients.uploads import Uploader
from services.ops.stack.layout import Layout
from services.ops.stack.record import Connection, connect_to
from tests.support.demo_run import stack_up

IMAGES = int(os.environ.get("BENCH_IMAGES", "1000"))
SIDE_PX = int(os.environ.get("BENCH_SIDE_PX", "500"))
FLOOR_IMAGES = min(IMAGES, 200)
PATIENCE_S = 3600.0
VERDICTS = "menagerie.v1.image.deduplicated"
NORMALISED_PX = 299
MEBIBYTE = 2**20


def write_photos(folder: Path) -> list[Path]:
    """JPEGs with the detail of photographs, no two alike."""
    chance = np.random.default_rng(5)
    paths = []
    for number in range(IMAGES):
        coarse = chance.integers(0, 256, (9, 12, 3), np.uint8)
        size = (SIDE_PX, SIDE_PX * 3 // 4)
        picture = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC), np.int16)
        grain = chance.normal(0, 9, (size[1], size[0], 1)).astype(np.int16)
        path = folder / f"{number:06d}.jpg"
        Image.fromarray(np.clip(picture + grain, 0, 255).astype(np.uint8)).save(path, quality=85)
        paths.append(path)
    return paths


def floor_per_s(paths: list[Path], stack: Connection, data_dir: Path) -> float:
    """Decode, resize, encode as PNG and put, one after the other in this process: images per second."""
    secrets = json.loads((data_dir / "credentials.json").read_text())["s3"]
    endpoint = stack.urls["s3"].removeprefix("http://")
    client = Minio(endpoint, secrets["access_key"], secrets["secret_key"], secure=False, region="us-east-1")
    began = time.perf_counter()
    for path in paths:
        with Image.open(path) as image:
            image.draft(None, (2 * NORMALISED_PX, 2 * NORMALISED_PX))
            image.thumbnail((NORMALISED_PX, NORMALISED_PX), Image.Resampling.LANCZOS)
            square = Image.new("RGB", (NORMALISED_PX, NORMALISED_PX))
            square.paste(image, (0, (NORMALISED_PX - image.height) // 2))
        sink = io.BytesIO()
        square.save(sink, "PNG", **PNG_OPTIONS)
        client.put_object("incoming", f"floor/{path.name}", io.BytesIO(sink.getvalue()), sink.tell())
    return len(paths) / (time.perf_counter() - began)


def ingest_mebibytes(stack: Connection) -> float:
    """Resident memory of ingest and its decoder processes."""
    pid = stack.processes["ingest"].pid
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return sum(process.memory_info().rss for process in family) / MEBIBYTE


async def sustained(stack: Connection, paths: list[Path]) -> tuple[float, list[float]]:
    """Images per second from the first byte sent to the last verdict, and the memory on the way."""
    client = await nats.connect(
        stack.urls["nats"], user="ops", password=stack.ops_password, inbox_prefix="_INBOX.ops"
    )
    plan = plan_uploads([paths[0].parent], UploadRules(), UlidSource())
    memory: list[float] = []
    began = time.perf_counter()
    sending = asyncio.create_task(Uploader(stack.urls["ingest"], stack.api_token).upload(plan.files))
    verdicts = 0
    while verdicts < len(plan.files):
        assert time.perf_counter() - began < PATIENCE_S, f"{verdicts} verdicts of {len(plan.files)}"
        await asyncio.sleep(1.0)
        info: Any = await client.jetstream().stream_info("IMAGES", subjects_filter=VERDICTS)
        verdicts = (info.state.subjects or {}).get(VERDICTS, 0)
        memory.append(ingest_mebibytes(stack))
    taken = time.perf_counter() - began
    await sending
    await client.close()
    return len(plan.files) / taken, memory


def test_upload_to_verdict(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    paths = write_photos(folder)
    with stack_up(tmp_path / "data"):
        running = connect_to(Layout(tmp_path / "data"))
        floor = floor_per_s(paths[:FLOOR_IMAGES], running, tmp_path / "data")
        rate, memory = asyncio.run(sustained(running, paths))
        floor = statistics.mean((floor, floor_per_s(paths[:FLOOR_IMAGES], running, tmp_path / "data")))
    quarter = max(1, len(memory) // 4)
    second, last = (
        statistics.median(part) for part in (memory[quarter : 2 * quarter] or memory, memory[-quarter:])
    )
    print(f"\n{IMAGES} JPEGs of {SIDE_PX} px, {os.cpu_count()} cores")
    print(f"{'one process: decode, resize, PNG, put':<45}{floor:8.1f} images/s")
    print(
        f"{'upload to image.deduplicated, real services':<45}{rate:8.1f} images/s   {rate / floor:5.2f} of it"
    )
    print(
        f"{'memory of ingest with its decoders':<45}{second:8.0f} MiB in the second quarter, {last:.0f} in the last, "
        f"{max(memory):.0f} at most"
    )
