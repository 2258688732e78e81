"""The real ingest service on real servers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
from nats.js import JetStreamContext

from contracts.message import Message
from deploy.migrate import upgrade
from services.ingest.app import create_app
from services.ingest.settings import IngestSettings
from services.runtime.envelope import decode
from services.runtime.service import Service
from tests.support.pictures import RULES
from tests.support.servers import Broker, S3Server

TOKEN = "test-token"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


@dataclass
class IngestServers:
    """Servers and a database for any number of runs of the service."""

    broker: Broker
    s3: S3Server
    database_url: str
    work_dir: Path

    def service(self, **changes: Any) -> Service:
        """A service that is not started yet."""
        upgrade("ingest", self.database_url)
        mine = self.broker.settings("ingest")
        s3 = self.s3.settings
        values: dict[str, Any] = {
            "nats_url": mine.nats_url, "nats_user": mine.nats_user, "nats_password": mine.nats_password,
            "s3_endpoint": s3.s3_endpoint, "s3_access_key": s3.s3_access_key, "s3_secret_key": s3.s3_secret_key,
            "database_url": self.database_url, "work_dir": self.work_dir, "retry_delays_s": (0.2, 0.4, 0.8),
            "api_token": TOKEN, "image_size_px": RULES.image_size_px, "max_pixels": RULES.max_pixels,
            **asdict(RULES.quality),
        }  # fmt: skip
        return create_app(IngestSettings(**(values | changes)))

    @asynccontextmanager
    async def running(self, **changes: Any) -> AsyncIterator[httpx.AsyncClient]:
        """The service, started and stopped; gives a client of its HTTP side."""
        service = self.service(**changes)
        await service.start()
        try:
            transport = httpx.ASGITransport(service.asgi())
            async with httpx.AsyncClient(
                transport=transport, base_url="http://ingest", headers=HEADERS
            ) as client:
                yield client
        finally:
            await service.stop()


def upload_form(files: Sequence[tuple[str, bytes]], **fields: Any) -> dict[str, Any]:
    """A request for ``client.post``: (upload id, bytes) each."""
    meta = json.dumps([{"upload_id": upload_id, "file_name": upload_id, **fields} for upload_id, _ in files])
    return {"data": {"meta": meta}, "files": [("files", (upload_id, data)) for upload_id, data in files]}


async def said(js: JetStreamContext, stream: str = "IMAGES") -> list[Message]:
    """Every message in a stream, in order."""
    last = (await js.stream_info(stream)).state.last_seq
    found = [await js.get_msg(stream, seq) for seq in range(1, last + 1)]
    return [decode(raw.subject or "", raw.data or b"") for raw in found]
