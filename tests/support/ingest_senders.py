"""Each way into the library on real servers, as an uploader uses it."""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
import sqlalchemy as sa
from minio import Minio
from nats.js import JetStreamContext

from contracts.commands import RequestReconcile
from contracts.events import ImageUploaded
from contracts.manifests import Buckets
from services.ingest.store.tables import benchmark_change, image, image_flag, label_change, upload
from services.runtime.database import make_engine
from services.runtime.envelope import encode
from services.runtime.tables import outbox_table
from tests.support.ingest_house import AT
from tests.support.ingest_service import IngestServers
from tests.support.ingest_ways import GivenFile, notification
from tests.support.probe import until

UNLIKE = {
    image: {"upload_id", "accepted_at", "shard_number"},
    image_flag: set[str](),
    label_change: {"changed_at", "change_id"},  # an upload's first label is undone by its upload id
    benchmark_change: {"changed_at"},
}
"""What two ways may not agree on: ids and times. Everything else is the library."""


@dataclass
class Sender:
    """Sends files through ways in; ``round`` makes the requests of a repetition new ones."""

    servers: IngestServers
    http: httpx.AsyncClient
    round: int = 0

    @property
    def s3(self) -> Minio:
        """The object store as an upstream system uses it."""
        settings = self.servers.s3.settings
        return Minio(
            settings.s3_endpoint,
            settings.s3_access_key,
            settings.s3_secret_key.get_secret_value(),
            secure=False,
            region="us-east-1",
        )

    async def multipart(self, files: Sequence[GivenFile]) -> None:
        """One request for all."""
        answer = await self.http.post(
            "/api/v1/images",
            data={"meta": json.dumps([file.meta for file in files])},
            files=[("files", (file.name, file.data)) for file in files],
        )
        assert answer.status_code == 202, answer.text

    async def raw(self, files: Sequence[GivenFile]) -> None:
        """``curl -T``, a request each."""
        for file in files:
            answer = await self.http.put(
                f"/api/v1/images/{quote(file.name, safe='')}", params=tuple(file.query), content=file.data
            )
            assert answer.status_code == 202, answer.text

    async def presigned(self, files: Sequence[GivenFile]) -> None:
        """Ask for URLs, PUT to the object store, confirm."""
        answer = await self.http.post("/api/v1/uploads", json={"files": [file.meta for file in files]})
        assert answer.status_code == 201, answer.text
        async with httpx.AsyncClient() as bare:
            for file, promised in zip(files, answer.json()["uploads"], strict=True):
                assert (await bare.put(promised["url"], content=file.data)).status_code == 200
                confirmed = await self.http.post(f"/api/v1/uploads/{file.upload_id}/confirm")
                assert confirmed.status_code == 202, confirmed.text

    async def upstream(self, files: Sequence[GivenFile]) -> None:
        """Put the object, then announce it."""
        store = self.servers.s3.store()
        for file in files:
            put = store.put(Buckets.INCOMING, hashlib.sha256(file.data).hexdigest(), file.data)
            await self.say("upstream", file.event(put))

    async def told(self, files: Sequence[GivenFile]) -> None:
        """Drop the objects; the server tells of each."""
        self.drop(files)
        for file in files:
            await self.tell(notification(file.name))

    async def found(self, files: Sequence[GivenFile]) -> None:
        """Drop the objects; nobody tells."""
        self.drop(files)
        await self.say(
            "ops",
            RequestReconcile(request_id=f"look-{self.round}-{files[0].number}", by="ann", requested_at=AT),
        )

    def drop(self, files: Sequence[GivenFile]) -> None:
        """Put each file into the drop bucket unless it is there: the same object is the same upload."""
        there = {entry.object_name for entry in self.s3.list_objects(Buckets.DROP, recursive=True)}
        for file in files:
            if file.name not in there:
                metadata: Any = file.headers
                self.s3.put_object(
                    Buckets.DROP, file.name, io.BytesIO(file.data), len(file.data), metadata=metadata
                )

    async def tell(self, body: Mapping[str, Any]) -> None:
        """As the S3 server does: without headers, on the usual inbox."""
        client = await self.servers.broker.client("bucket-notifier")
        await client.jetstream(timeout=15).publish("menagerie.v1.bucket.notified", json.dumps(body).encode())
        await client.close()

    async def say(self, user: str, message: ImageUploaded | RequestReconcile) -> None:
        """Publish as ``user``; a repetition has no message id, or the broker would drop it."""
        client = await self.servers.broker.client(user)
        body, headers = encode(message, user)
        await client.jetstream(timeout=15).publish(
            message.subject(), body, stream=message.stream(), headers=headers if self.round == 0 else None
        )
        await client.close()


WAYS: dict[str, Callable[[Sender, Sequence[GivenFile]], Awaitable[None]]] = {
    "multipart": Sender.multipart,
    "raw PUT": Sender.raw,
    "presigned PUT": Sender.presigned,
    "upstream event": Sender.upstream,
    "notification": Sender.told,
    "reconcile only": Sender.found,
}


def empty_drop(servers: IngestServers) -> None:
    """The server is shared by tests."""
    store = servers.s3.store()
    for key in list(store.list(Buckets.DROP)):
        with suppress(ValueError):
            store.remove(Buckets.DROP, key)


def library(database_url: str) -> dict[str, Any]:
    """All that the library says of its images, without what only tells how and when they came."""
    engine = make_engine(database_url)
    with engine.connect() as connection:
        state: dict[str, Any] = {
            table.name: [
                {name: value for name, value in row.items() if name not in unlike}
                for row in connection.execute(sa.select(table).order_by(*table.primary_key)).mappings()
            ]
            for table, unlike in UNLIKE.items()
        }
        rows = connection.execute(sa.select(upload.c.outcome, upload.c.reject_code, upload.c.same_as)).all()
    engine.dispose()
    return {**state, "outcomes": Counter(tuple(row) for row in rows)}


async def until_settled(database_url: str, js: JetStreamContext, uploads: int) -> None:
    """Until so many uploads have their outcome, nothing is under way, and all of it has been said."""
    engine = make_engine(database_url)
    unsaid = sa.select(sa.func.count()).select_from(outbox_table(upload.metadata))

    async def settled() -> bool:
        for durable, stream in (
            ("ingest-drops", "BUCKETS"),
            ("ingest-reconciles", "LIBRARY"),
            ("ingest-uploads", "IMAGES"),
        ):
            info = await js.consumer_info(stream, durable)
            if info.num_pending or info.num_ack_pending:
                return False
        with engine.connect() as connection:
            done = connection.scalar(sa.select(sa.func.count()).where(upload.c.outcome.is_not(None)))
            return bool(done == uploads and connection.scalar(unsaid) == 0)

    await until(settled, 120)
    engine.dispose()
