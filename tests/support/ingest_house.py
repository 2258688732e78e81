"""Ingest without its broker: real tables and real decoding rules, an object store in memory."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from contracts.events import ImageUploaded
from contracts.manifests import Buckets
from contracts.message import Message
from contracts.values import ObjectRef, Source
from services.ingest.decoding.pool import Decoder
from services.ingest.domain.normalise import normalise
from services.ingest.domain.picture import Normalised, Rejection
from services.ingest.handlers import Handlers
from services.ingest.intake import Intake
from services.ingest.packing.packer import Packer
from services.ingest.packing.snapshots import Snapshots
from services.ingest.reception.posted import Reception
from services.ingest.settings import IngestSettings
from services.ingest.store import metadata
from services.ingest.store.tables import image, label_change, upload
from services.runtime.database import Database, Unit
from services.runtime.delivery import Delivery
from services.runtime.envelope import decode
from services.runtime.objectstore import ObjectMissing, ObjectStore, Readable
from services.runtime.tables import outbox_table
from tests.support.pictures import RULES

T = TypeVar("T")
AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
SHARD_IMAGES = 4


class MemoryStore(ObjectStore):
    """Objects in a dict; ``log`` notes what was asked of it, in order."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], bytes] = {}
        self.log: list[str] = []

    def put(
        self,
        bucket: str,
        key: str,
        data: bytes,
        content_type: str = "application/octet-stream",  # noqa: ARG002
    ) -> ObjectRef:
        self.log.append(f"put {bucket}")
        self.objects[bucket, key] = data
        return ObjectRef(bucket=bucket, key=key, size=len(data), sha256=hashlib.sha256(data).hexdigest())

    def put_file(
        self, bucket: str, key: str, path: Path, content_type: str = "application/octet-stream"
    ) -> ObjectRef:
        return self.put(bucket, key, path.read_bytes(), content_type)

    def put_stream(
        self,
        bucket: str,
        key: str,
        data: Readable,
        size: int,
        content_type: str = "application/octet-stream",
    ) -> None:
        held = data.read(size)
        assert (len(held), data.read(1)) == (size, b"")
        self.put(bucket, key, held, content_type)

    def get(self, ref: ObjectRef) -> bytes:
        if (ref.bucket, ref.key) not in self.objects:
            raise ObjectMissing(f"{ref.bucket}/{ref.key}")
        return self.objects[ref.bucket, ref.key]

    def stream(self, bucket: str, key: str, etag: str | None = None) -> Iterator[bytes]:  # noqa: ARG002
        if (bucket, key) not in self.objects:
            raise ObjectMissing(f"{bucket}/{key}")
        yield self.objects[bucket, key]

    def exists(self, bucket: str, key: str) -> bool:
        return (bucket, key) in self.objects

    def sync(self) -> None:
        self.log.append("sync")


class InlineDecoder(Decoder):
    """The real rules in this process: nothing here is hostile."""

    def __init__(self) -> None:
        self.decoded = 0

    async def decode(self, files: Sequence[bytes]) -> list[Normalised | Rejection]:
        self.decoded += len(files)
        return [normalise(data, RULES) for data in files]


class FaultyDatabase(Database):
    """Fails before or after the commits whose numbers are given: a crash at either side."""

    before: frozenset[int] = frozenset()
    after: frozenset[int] = frozenset()
    commits = 0

    async def run(self, work: Callable[[Unit], T]) -> T:
        self.commits += 1
        number = self.commits

        def failing(unit: Unit) -> T:
            result = work(unit)
            if number in self.before:
                raise ConnectionError("crashed before the commit")
            return result

        result = await super().run(failing)
        if number in self.after:
            raise ConnectionError("crashed after the commit")
        return result


class House:
    """One ingest process; several may share a database and a store."""

    def __init__(
        self,
        database_url: str,
        work_dir: Path,
        store: ObjectStore | None = None,
        decoder: Decoder | None = None,
    ) -> None:
        self.settings = IngestSettings(
            image_size_px=RULES.image_size_px, shard_images=SHARD_IMAGES, work_dir=work_dir
        )
        self.database = FaultyDatabase(database_url, metadata, "ingest", "house")
        metadata.create_all(self.database.engine)
        self.store = store or MemoryStore()
        self.decoder = decoder or InlineDecoder()
        self.threads = ThreadPoolExecutor(4)
        packer = Packer(
            self.store, lambda image: self.store.get(image.normalised), shard_threads=2, fetch_threads=4
        )
        snapshots = Snapshots(
            self.database, self.store, packer, image_size_px=RULES.image_size_px, shard_images=SHARD_IMAGES
        )
        intake = Intake(self.database, self.store, self.threads, self.decoder, self.settings.max_file_bytes)
        self.reception = Reception(self.database, self.store, self.threads)
        self.handlers = Handlers(self.database, intake, snapshots)

    def close(self) -> None:
        """Stop the threads."""
        self.threads.shutdown()
        self.database.close()

    def put(self, upload_id: str, data: bytes, **fields: Any) -> ImageUploaded:
        """Store ``data`` and return the event that says so."""
        key = hashlib.sha256(data).hexdigest()
        values = {"file_name": f"{upload_id}.png", "uploaded_at": AT, "source": Source.REAL, **fields}
        return ImageUploaded(
            upload_id=upload_id, object=self.store.put(Buckets.INCOMING, key, data), **values
        )

    async def take(self, *uploads: ImageUploaded) -> None:
        """Deliver uploads as one batch."""
        await self.handlers.uploads(deliveries(uploads))

    async def said(self) -> list[Message]:
        """Every event of committed transactions, in order."""
        table = outbox_table(metadata)
        query = sa.select(table.c.subject, table.c.body).order_by(table.c.outbox_id)
        rows = await self.database.read(lambda connection: connection.execute(query).all())
        return [decode(row.subject, row.body) for row in rows]

    async def told(self) -> Counter[str]:
        """How often each kind of event was said."""
        return Counter(message.name for message in await self.said())

    async def rows(self, table: sa.Table = image) -> list[dict[str, Any]]:
        """The rows of a table."""
        query = sa.select(table).order_by(*table.primary_key)
        return await self.database.read(
            lambda connection: [dict(row) for row in connection.execute(query).mappings()]
        )

    async def outcomes(self) -> dict[str, str | None]:
        """Outcome by upload id."""
        return {row["upload_id"]: row["outcome"] for row in await self.rows(upload)}

    async def history(self) -> list[tuple[str | None, str]]:
        """Label changes, oldest first per image."""
        return [(row["previous_label"], row["label"]) for row in await self.rows(label_change)]


def deliveries(messages: Iterable[Any]) -> list[Delivery[Any]]:
    """As the runtime hands messages to a handler."""
    return [
        Delivery(
            message=message,
            stream="TEST",
            seq=number,
            attempt=1,
            stored_at=AT,
            message_id=message.message_id(),
        )
        for number, message in enumerate(messages, start=1)
    ]
