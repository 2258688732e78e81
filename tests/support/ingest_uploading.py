"""Ingest's uploads over HTTP, with the object store behind them in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from contracts.events import ImageUploaded
from contracts.manifests import Buckets
from contracts.values import LabelKind, Source
from services.ingest.http.application import create_http
from tests.support.ingest_house import House
from tests.support.ingest_ways import BucketStore

LIMIT_BYTES = 600_000
SAID = {
    "label": "flamingo/juvenile", "label_kind": "unknown", "source": "staged", "guest": "g", "visit": "v",
    "taken_at": "2026-05-01T09:00:00Z", "upstream_id": "zoo-7", "benchmark": "difficult", "uploaded_by": "ann",
}  # fmt: skip


class UploadClient(httpx.AsyncClient):
    """Ingest over HTTP, and the object store behind it."""

    store: BucketStore

    async def promise(self, *upload_ids: str, **said: Any) -> httpx.Response:
        """Ask for URLs."""
        return await self.post(
            "/api/v1/uploads", json={"files": [{"upload_id": one, **said} for one in upload_ids]}
        )

    def put_bytes(self, upload_id: str, data: bytes) -> None:
        """What the URL is for."""
        self.store.drop(f"presigned/{upload_id}", data, datetime.now(UTC), Buckets.INCOMING)

    async def confirm(self, upload_id: str) -> httpx.Response:
        """Say that they are there."""
        return await self.post(f"/api/v1/uploads/{upload_id}/confirm")


def upload_house(folder: Path) -> House:
    """Ingest with small limits."""
    made = House(f"sqlite:///{folder}/ingest.sqlite", folder / "work", BucketStore())
    limits = {"max_file_bytes": LIMIT_BYTES, "max_request_files": 4}
    made.settings = made.settings.model_copy(update={"api_token": SecretStr("token"), **limits})
    return made


@asynccontextmanager
async def upload_client(house: House, **changes: Any) -> AsyncIterator[UploadClient]:
    """A client with the token; ``changes`` of the house's settings."""
    settings = house.settings.model_copy(update=changes)
    application = create_http(house.reception, house.database, settings, house.store)
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    headers = {"Authorization": "Bearer token"}
    async with UploadClient(transport=transport, base_url="http://ingest", headers=headers) as made:
        assert isinstance(house.store, BucketStore)
        made.store = house.store
        yield made


async def announced(house: House) -> list[ImageUploaded]:
    """What was told of uploads."""
    return [message for message in await house.said() if isinstance(message, ImageUploaded)]


def spooled(house: House) -> list[Path]:
    """Files that lie on disk."""
    return [path for path in (house.settings.work_dir / "uploads").rglob("*") if path.is_file()]


def check_all_was_said(message: ImageUploaded) -> None:
    """``SAID`` and the tags a and b."""
    assert (message.label, message.label_kind, message.source) == (
        "flamingo/juvenile", LabelKind.UNKNOWN, Source.STAGED,
    )  # fmt: skip
    assert (message.guest, message.visit, message.tags, message.upstream_id) == (
        "g",
        "v",
        ("a", "b"),
        "zoo-7",
    )
    assert (message.benchmark, message.uploaded_by) == ("difficult", "ann")
    assert message.taken_at == datetime(2026, 5, 1, 9, tzinfo=UTC)
