"""The real dedup service on real servers, fed with ``image.accepted``."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from nats.js import JetStreamContext
from PIL import Image

from contracts.events import ImageAccepted, ImageDeduplicated, PairJudged
from contracts.manifests import Buckets
from contracts.values import Box, ObjectRef, Source
from deploy.migrate import upgrade
from services.dedup.app import create_app
from services.dedup.settings import DedupSettings
from services.runtime.objectstore import ObjectStore
from services.runtime.service import Service
from tests.support.servers import Broker, S3Server

M = TypeVar("M", ImageDeduplicated, PairJudged)
SIDE_PX = 64
AT = datetime(2026, 11, 21, tzinfo=UTC)
DURABLE, STREAM = "dedup-images", "IMAGES"
ACK_WAIT_S = 2.0
"""What a killed process had in hand comes again so soon, instead of after half a minute."""


def picture(seed: int, noise: float = 0.0) -> bytes:
    """PNG of soft blobs; ``noise`` (grey values) gives altered copies of the same seed."""
    blobs = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8), np.uint8))
    pixels = np.asarray(blobs.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC), np.float64)
    altered = pixels + np.random.default_rng(seed + 1).normal(0, noise, pixels.shape)
    sink = io.BytesIO()
    Image.fromarray(altered.clip(0, 255).astype(np.uint8)).convert("RGB").save(sink, "PNG")
    return sink.getvalue()


def accepted(number: int, png: bytes, **changes: Any) -> ImageAccepted:
    """The event for upload ``number``, whose object need not be there."""
    digest = hashlib.sha256(png).hexdigest()
    ref = ObjectRef(bucket=Buckets.LIBRARY, key=f"png/{digest}", size=len(png), sha256=digest)
    fields: dict[str, Any] = {
        "image_id": hashlib.sha256(f"{number}".encode()).hexdigest(),
        "upload_id": f"upload-{number:06}",
        "file_name": f"{number}.png",
        "original": ref,
        "normalised": ref,
        "thumbnail": ref,
        "content": Box(left=0, top=0, width=SIDE_PX, height=SIDE_PX),
        "width_px": SIDE_PX,
        "height_px": SIDE_PX,
        "image_format": "PNG",
        "source": Source.REAL,
        "accepted_at": AT,
    }
    return ImageAccepted(**(fields | changes))


@dataclass
class DedupHouse:
    """Servers and a database for any number of runs of the service, one after the other."""

    broker: Broker
    s3: S3Server
    database_url: str
    work_dir: Path

    @property
    def store(self) -> ObjectStore:
        """To put the pictures in."""
        return self.s3.store()

    def put(self, *pngs: bytes) -> None:
        """Store normalised pictures under the keys that ``accepted`` names."""
        for png in pngs:
            self.store.put(Buckets.LIBRARY, f"png/{hashlib.sha256(png).hexdigest()}", png)

    def service(self, **changes: Any) -> Service:
        """A service that is not started yet."""
        upgrade("dedup", self.database_url)
        return create_app(self.settings(**changes))

    def settings(self, **changes: Any) -> DedupSettings:
        """Of a service on these servers."""
        mine = self.broker.settings("dedup")
        s3 = self.s3.settings
        values: dict[str, Any] = {
            "nats_url": mine.nats_url,
            "nats_user": mine.nats_user,
            "nats_password": mine.nats_password,
            "s3_endpoint": s3.s3_endpoint,
            "s3_access_key": s3.s3_access_key,
            "s3_secret_key": s3.s3_secret_key,
            "database_url": self.database_url,
            "work_dir": self.work_dir,
            "retry_delays_s": (0.2, 0.4, 0.8),
        }
        return DedupSettings(**(values | changes))

    @asynccontextmanager
    async def process(self, *dying: str, name: str = "work") -> AsyncIterator[Process]:
        """The service as a process of its own, ready (or dead already); see mortal_dedup."""
        upgrade("dedup", self.database_url)
        environment = os.environ | self.settings(work_dir=self.work_dir / name).child_env()
        command = (sys.executable, "-m", "tests.support.mortal_dedup", *dying)
        process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=PIPE)
        try:
            assert process.stdout is not None
            await process.stdout.readline()
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()

    @asynccontextmanager
    async def running(self, **changes: Any) -> AsyncIterator[Service]:
        """The service, started and stopped."""
        service = self.service(**changes)
        await service.start()
        try:
            yield service
        finally:
            await service.stop()


async def hurry(js: JetStreamContext) -> None:
    """Let the broker wait less long for a process that died."""
    for durable in ("dedup-images", "dedup-labels"):
        config = (await js.consumer_info(STREAM, durable)).config
        config.ack_wait = ACK_WAIT_S
        await js.add_consumer(STREAM, config)


async def verdicts_said(js: JetStreamContext) -> list[ImageDeduplicated]:
    """Every image.deduplicated in the log, in order."""
    return await _said(js, ImageDeduplicated)


async def pairs_said(js: JetStreamContext) -> list[PairJudged]:
    """Every image.pair-judged in the log, in order."""
    return await _said(js, PairJudged)


async def _said(js: JetStreamContext, kind: type[M]) -> list[M]:
    last = (await js.stream_info(STREAM)).state.last_seq
    found = []
    for seq in range(1, last + 1):
        raw = await js.get_msg(STREAM, seq)
        if raw.subject == kind.subject():
            found.append(kind.model_validate_json(raw.data or b""))
    return found


def final(said: Iterable[ImageDeduplicated]) -> dict[str, ImageDeduplicated]:
    """The verdict of the highest revision per image, as any reader keeps it."""
    kept: dict[str, ImageDeduplicated] = {}
    for event in said:
        if event.image_id not in kept or kept[event.image_id].revision < event.revision:
            kept[event.image_id] = event
    return kept
