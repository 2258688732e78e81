"""Uploads by presigned PUT: the bytes go to the object store past this service, which then confirms them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from contracts.manifests import Buckets
from contracts.values import UploadId, Value
from services.ingest.reception.meta import UploadMeta
from services.ingest.reception.multipart import UploadRefused
from services.ingest.reception.posted import Arrival, Received, Reception
from services.ingest.reception.spool import FOLDER, FileTooLarge, SpooledFile
from services.ingest.settings import IngestSettings
from services.ingest.store import presigned as promises
from services.ingest.store.presigned import Promise
from services.ingest.store.uploads import noted_uploads
from services.runtime.objectstore import ObjectMissing, ObjectStore

PREFIX = "presigned/"
"""Keys in bucket incoming; no event ever refers to one."""
SWEEP_KEYS = 500
"""Looked up in one query."""


class Promised(Value):
    """Where to PUT one file, and until when."""

    upload_id: UploadId
    url: str
    expires_at: datetime


class Presigned:
    """Promises uploads and confirms them; both may be repeated, in any process."""

    def __init__(self, reception: Reception, settings: IngestSettings) -> None:
        self._reception = reception
        self._settings = settings
        self._database = reception.database
        self._store: ObjectStore = reception.store

    async def promise(self, metas: Sequence[UploadMeta]) -> tuple[Promised, ...]:
        """A URL for each file; asked again, a new one."""
        valid_s = self._settings.presigned_valid_s
        expires_at = datetime.now(UTC) + timedelta(seconds=valid_s)
        made = [
            Promise(meta.upload_id, PREFIX + meta.upload_id, meta.model_dump(mode="json"), expires_at)
            for meta in metas
        ]
        endpoint = self._settings.s3_public_endpoint
        urls = [self._store.presigned_put(Buckets.INCOMING, one.key, valid_s, endpoint) for one in made]
        await self._database.run(lambda unit: promises.keep_promises(unit.connection, made))
        return tuple(
            Promised(upload_id=one.upload_id, url=url, expires_at=expires_at)
            for one, url in zip(made, urls, strict=True)
        )

    async def confirm(self, upload_id: UploadId) -> Received:
        """Take in what was PUT. From here on its URL changes nothing: the bytes are kept elsewhere.

        Raises:
            UploadRefused: nothing was promised (404) or PUT (409), or it is too large (413).
        """
        promise = await self._database.read(lambda connection: promises.promise_of(connection, upload_id))
        before = await self._noted(upload_id)
        if promise is None:
            if before is None:
                raise UploadRefused(404, f"no upload {upload_id[:80]!r}; POST /api/v1/uploads makes one")
            return before
        meta = UploadMeta.model_validate(promise.meta)
        file = SpooledFile(
            meta.file_name or upload_id, self._settings.max_file_bytes, self._settings.work_dir / FOLDER
        )
        try:
            await self._reception.in_thread(self._read, promise.key, file)
            [received] = await self._reception.receive([Arrival(file, file.file_name, meta)])
        except ObjectMissing:
            # Perhaps another process was faster and has removed it.
            if (noted := await self._noted(upload_id)) is None:
                raise _not_put(promise) from None
            return noted
        except FileTooLarge as error:
            await self._remove(promise.key)
            raise UploadRefused(
                413, f"{error}, it was removed; PUT a smaller copy to the same url"
            ) from error
        finally:
            await asyncio.to_thread(file.close)
        if before is not None:  # promised again after it was received
            await self._database.run(lambda unit: promises.forget_promises(unit.connection, [upload_id]))
        await self._remove(promise.key)
        return received

    async def sweep(self) -> None:
        """Forget promises that nobody kept, and remove what was PUT and never confirmed, or too late."""
        now = datetime.now(UTC)
        kept = timedelta(seconds=self._settings.presigned_kept_s)
        await self._database.run(lambda unit: promises.forget_expired(unit.connection, now - kept))
        stale = now - timedelta(seconds=self._settings.presigned_valid_s)
        keys = await self._reception.in_thread(self._older, stale)
        for start in range(0, len(keys), SWEEP_KEYS):
            some = keys[start : start + SWEEP_KEYS]
            waiting = await self._database.read(lambda c: promises.promised_keys(c, some))  # noqa: B023
            for key in some:
                if key not in waiting:
                    await self._remove(key)

    def _older(self, stale: datetime) -> list[str]:
        entries = self._store.entries(Buckets.INCOMING, PREFIX)
        return [entry.key for entry in entries if entry.last_modified < stale]

    def _read(self, key: str, file: SpooledFile) -> None:
        size = self._store.stat(Buckets.INCOMING, key).size
        if size > self._settings.max_file_bytes:
            raise FileTooLarge(
                f"file {file.file_name[:200]!r} has {size} bytes, more than {self._settings.max_file_bytes}"
            )
        for chunk in self._store.stream(Buckets.INCOMING, key):
            file.feed(chunk)  # which holds the limit again: the object may have been replaced meanwhile
        file.finish()

    async def _noted(self, upload_id: UploadId) -> Received | None:
        noted = await self._database.read(lambda connection: noted_uploads(connection, [upload_id]))
        if upload_id not in noted:
            return None
        return Received(upload_id=upload_id, image_id=noted[upload_id])

    async def _remove(self, key: str) -> None:
        await self._reception.in_thread(self._store.remove, Buckets.INCOMING, key)


def _not_put(promise: Promise) -> UploadRefused:
    if promise.expires_at < datetime.now(UTC):
        remedy = "and its url has expired: ask for another with POST /api/v1/uploads"
    else:
        remedy = "yet: PUT them to its url, then confirm again"
    return UploadRefused(409, f"the bytes of upload {promise.upload_id!r} are not there {remedy}")
