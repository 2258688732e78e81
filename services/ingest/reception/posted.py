"""Keeps what arrived over HTTP: objects first, then rows and events in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from contracts.events import ImageUploaded
from contracts.manifests import Buckets
from contracts.values import ImageId, ObjectRef, Source, UploadId, Value
from services.ingest.domain.text import storable
from services.ingest.reception.multipart import FilePart, UploadRefused
from services.ingest.store import uploads as rows
from services.runtime.database import Database, Unit
from services.runtime.objectstore import ObjectStore


class Received(Value):
    """One kept file, as the answer names it."""

    upload_id: UploadId
    image_id: ImageId


@dataclass(frozen=True)
class Arrival:
    """One file with what its uploader says of it."""

    file: FilePart
    file_name: str
    upload_id: str
    label: str | None
    source: Source
    guest: str | None
    taken_at: datetime | None
    benchmark: str | None
    uploaded_by: str

    def announced(self, ref: ObjectRef, at: datetime) -> ImageUploaded:
        """The event that says it."""
        message = ImageUploaded(
            upload_id=self.upload_id,
            object=ref,
            file_name=self.file_name,
            uploaded_at=at,
            uploaded_by=self.uploaded_by,
            label=self.label,
            source=self.source,
            guest=self.guest,
            taken_at=self.taken_at,
            benchmark=self.benchmark,
        )
        return storable(message)


class Reception:
    """Receives uploads; the same upload ids again change nothing."""

    def __init__(self, database: Database, store: ObjectStore, threads: ThreadPoolExecutor) -> None:
        self._database = database
        self._store = store
        self._threads = threads

    async def receive(self, arrivals: Sequence[Arrival]) -> tuple[Received, ...]:
        """Returns when every file is durable and its event is sure to be said.

        Raises:
            UploadRefused: an upload id was used before for other bytes.
        """
        ids = [arrival.upload_id for arrival in arrivals]
        noted = await self._database.read(lambda connection: rows.noted_uploads(connection, ids))
        _refuse_other_bytes(arrivals, noted)
        fresh = [arrival for arrival in arrivals if arrival.upload_id not in noted]
        if fresh:
            objects = await self._keep(fresh)
            await self._database.run(lambda unit: _announce(unit, fresh, objects))
        return tuple(Received(upload_id=item.upload_id, image_id=item.file.sha256) for item in arrivals)

    async def _keep(self, arrivals: Sequence[Arrival]) -> dict[ImageId, ObjectRef]:
        files = {arrival.file.sha256: arrival.file for arrival in arrivals}
        earlier = await self._database.read(lambda connection: rows.stored_objects(connection, files))
        loop = asyncio.get_running_loop()
        kept = await asyncio.gather(*(
            loop.run_in_executor(self._threads, self._keep_one, file, earlier.get(image_id))
            for image_id, file in files.items()
        ))  # fmt: skip
        if any(put for _, put in kept):
            await asyncio.to_thread(self._store.sync)
        return {image_id: ref for image_id, (ref, _) in zip(files, kept, strict=True)}

    def _keep_one(self, file: FilePart, earlier: ObjectRef | None) -> tuple[ObjectRef, bool]:
        """The file's object, and whether it had to be put."""
        # Looked up, not trusted: uploading a file again is how a person heals a lost object.
        if earlier is not None and self._store.exists(earlier.bucket, earlier.key):
            return earlier, False
        if file.path is not None:
            return self._store.put_file(Buckets.INCOMING, file.sha256, file.path), True
        return self._store.put(Buckets.INCOMING, file.sha256, bytes(file.data)), True


def _refuse_other_bytes(arrivals: Sequence[Arrival], noted: Mapping[str, ImageId]) -> None:
    for arrival in arrivals:
        if noted.get(arrival.upload_id, arrival.file.sha256) != arrival.file.sha256:
            raise UploadRefused(
                409, f"upload_id {arrival.upload_id!r} was used before for another file; make a new one"
            )


def _announce(unit: Unit, arrivals: Sequence[Arrival], objects: Mapping[ImageId, ObjectRef]) -> None:
    noted = rows.noted_uploads(unit.connection, [arrival.upload_id for arrival in arrivals])
    at = datetime.now(UTC)
    messages = [
        arrival.announced(objects[arrival.file.sha256], at)
        for arrival in arrivals
        if arrival.upload_id not in noted
    ]
    rows.add_uploads(unit.connection, messages)
    for message in messages:
        unit.emit(message)
