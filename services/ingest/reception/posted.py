"""Keeps what arrived: objects first, then rows and events in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar, TypeVarTuple

from contracts.events import ImageUploaded
from contracts.manifests import Buckets
from contracts.values import ImageId, ObjectRef, UploadId, Value
from services.ingest.reception.meta import UploadMeta
from services.ingest.reception.multipart import UploadRefused
from services.ingest.reception.spool import SpooledFile
from services.ingest.store import presigned
from services.ingest.store import uploads as rows
from services.runtime.database import Database, Unit
from services.runtime.objectstore import ObjectStore
from services.runtime.text import storable

T = TypeVar("T")
Args = TypeVarTuple("Args")


class Received(Value):
    """One kept file, as the answer names it."""

    upload_id: UploadId
    image_id: ImageId


@dataclass(frozen=True)
class Arrival:
    """One file with what its uploader says of it; ``at`` is when the bytes came, None is now."""

    file: SpooledFile
    file_name: str
    meta: UploadMeta
    at: datetime | None = None


def announced(meta: UploadMeta, file_name: str, ref: ObjectRef, at: datetime) -> ImageUploaded:
    """The event that says a file is kept."""
    said = meta.model_dump(exclude={"file_name"})
    return storable(ImageUploaded(object=ref, file_name=file_name[:1024], uploaded_at=at, **said))


class Reception:
    """Receives uploads; the same upload ids again change nothing."""

    def __init__(self, database: Database, store: ObjectStore, threads: ThreadPoolExecutor) -> None:
        self.database = database
        self.store = store
        self._threads = threads

    async def receive(self, arrivals: Sequence[Arrival]) -> tuple[Received, ...]:
        """Returns when every file is durable and its event is sure to be said.

        Raises:
            UploadRefused: an upload id was used before for other bytes.
        """
        wanted = {arrival.meta.upload_id: arrival.file.sha256 for arrival in arrivals}
        noted = await self.database.read(lambda connection: rows.noted_uploads(connection, wanted))
        _refuse_other_bytes(wanted, noted)
        fresh = [arrival for arrival in arrivals if arrival.meta.upload_id not in noted]
        if fresh:
            objects = await self._keep(fresh)
            now = datetime.now(UTC)
            await self.announce(
                [announced(one.meta, one.file_name, objects[one.file.sha256], one.at or now) for one in fresh]
            )
        return tuple(Received(upload_id=key, image_id=image_id) for key, image_id in wanted.items())

    async def announce(self, messages: Sequence[ImageUploaded]) -> None:
        """Note uploads whose objects are durable, and say each that is new.

        Raises:
            UploadRefused: meanwhile an upload id was used for other bytes.
        """
        await self.database.run(lambda unit: _announce(unit, messages))

    async def in_thread(self, work: Callable[[*Args], T], *args: *Args) -> T:
        """Run what waits for the object store."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *args)

    async def _keep(self, arrivals: Sequence[Arrival]) -> dict[ImageId, ObjectRef]:
        files = {arrival.file.sha256: arrival.file for arrival in arrivals}
        earlier = await self.database.read(lambda connection: rows.kept_by_content(connection, files))
        kept = await asyncio.gather(
            *(self.in_thread(self._keep_one, file, key in earlier) for key, file in files.items())
        )
        if any(put for _, put in kept):
            await asyncio.to_thread(self.store.sync)
        return {image_id: ref for image_id, (ref, _) in zip(files, kept, strict=True)}

    def _keep_one(self, file: SpooledFile, earlier: bool) -> tuple[ObjectRef, bool]:
        """The file's object, and whether it had to be put."""
        key = file.sha256
        # Looked up, not trusted: uploading a file again is how a person heals a lost object.
        if earlier and self.store.exists(Buckets.INCOMING, key):
            return ObjectRef(bucket=Buckets.INCOMING, key=key, size=file.size, sha256=key), False
        if file.path is not None:
            return self.store.put_file(Buckets.INCOMING, key, file.path), True
        return self.store.put(Buckets.INCOMING, key, bytes(file.data)), True


def _refuse_other_bytes(wanted: Mapping[str, ImageId], noted: Mapping[str, ImageId]) -> None:
    for upload_id, image_id in wanted.items():
        if noted.get(upload_id, image_id) != image_id:
            raise UploadRefused(
                409, f"upload_id {upload_id!r} was used before for another file; make a new one"
            )


def _announce(unit: Unit, messages: Sequence[ImageUploaded]) -> None:
    wanted = {message.upload_id: message.object.sha256 for message in messages}
    added = rows.add_uploads(unit.connection, messages)
    _refuse_other_bytes(wanted, rows.noted_uploads(unit.connection, wanted))
    presigned.forget_promises(unit.connection, wanted)
    for message in messages:
        if message.upload_id in added:
            unit.emit(message)
