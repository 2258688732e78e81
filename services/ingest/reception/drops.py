"""Takes in what upstream systems put into bucket drop: told by the bucket's notifications, or found there."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar
from urllib.parse import unquote_plus

import structlog

from contracts.events import ImageUploaded
from contracts.manifests import Buckets
from contracts.notifications import BucketNotified
from contracts.values import ObjectRef
from services.ingest.reception.drop_meta import said_of
from services.ingest.reception.meta import UploadMeta
from services.ingest.reception.naming import drop_upload_id
from services.ingest.reception.posted import Arrival, Reception, announced
from services.ingest.reception.spool import FOLDER, SpooledFile
from services.ingest.settings import IngestSettings
from services.ingest.store.uploads import noted_uploads
from services.runtime.objectstore import ObjectMissing, StoredObject

A = TypeVar("A")
T = TypeVar("T")

CREATED = "ObjectCreated:"
"""MinIO says ``s3:ObjectCreated:Put``, S3 itself ``ObjectCreated:Put``."""
GROUP = 32
"""Objects on this machine's disk at once: 1 GiB when all are as large as may be."""
LISTED = 500
"""Looked up in one query."""
KEY_LENGTH = 900
"""Of a key in an event; S3 allows 1,024 bytes."""


class Drops:
    """An object is one upload however often it is told or found; one that was replaced is another."""

    def __init__(
        self, reception: Reception, settings: IngestSettings, log: structlog.stdlib.BoundLogger
    ) -> None:
        self._reception = reception
        self._settings = settings
        self._log = log
        self._reconciling = asyncio.Lock()

    async def take(self, keys: Iterable[str]) -> None:
        """Take in the objects under ``keys``; those that are gone, or noted already, change nothing.

        Raises:
            Exception: the first of what went wrong; the neighbours are taken in all the same.
        """
        failed: Exception | None = None
        for group in _groups(iter(dict.fromkeys(keys)), GROUP):
            try:
                await self._take_group(group)
            except Exception as error:  # noqa: BLE001 - told below, or by whoever called
                failed = failed or await self._take_each(group, error)
        if failed is not None:
            raise failed

    async def reconcile(self) -> None:
        """List the bucket and take in what is not noted; two processes may do so at once.

        Raises:
            Exception: the first of what went wrong; the next time finds what was left.
        """
        async with self._reconciling:
            entries = self._reception.store.entries(Buckets.DROP)
            failed: Exception | None = None
            while some := await self._reception.in_thread(list, islice(entries, LISTED)):
                by_id = {drop_upload_id(Buckets.DROP, entry): entry.key for entry in some}
                noted = await self._noted(by_id)
                try:
                    await self.take(key for upload_id, key in by_id.items() if upload_id not in noted)
                except Exception as error:  # noqa: BLE001 - raised below, when all was tried
                    failed = failed or error
            if failed is not None:
                raise failed

    async def _take_each(self, keys: Sequence[str], error: Exception) -> Exception | None:
        """One by one, so that only what is at fault fails.

        Raises:
            Exception: all of them fail: it is the store or the database, and going on is no use.
        """
        failures: list[Exception] = []
        for key in keys if len(keys) > 1 else ():
            try:
                await self._take_group([key])
            except Exception as own:  # noqa: BLE001 - logged, and returned to be raised
                self._log.warning("drop.failed", key=key[:200], error=repr(own))
                failures.append(own)
        if len(keys) > 1 and len(failures) < len(keys):
            return failures[0] if failures else None
        raise error

    async def _take_group(self, keys: Sequence[str]) -> None:
        found = [entry for entry in await self._in_threads(self._stat, keys) if entry is not None]
        by_id = {drop_upload_id(Buckets.DROP, entry): entry for entry in found}
        noted = await self._noted(by_id)
        fresh = {key: entry for key, entry in by_id.items() if key not in noted}
        limit = self._settings.max_file_bytes
        folder = self._settings.work_dir / FOLDER
        arrivals = [
            Arrival(SpooledFile(one.key, limit, folder), one.key, self._said(key, one), one.last_modified)
            for key, one in fresh.items()
            if one.size <= limit
        ]
        try:
            await self._in_threads(self._fetch, [(one.file, by_id[one.meta.upload_id]) for one in arrivals])
            await self._reception.receive(arrivals)
        finally:
            await asyncio.to_thread(_close, arrivals)
        large = [_unread(self._said(key, one), one) for key, one in fresh.items() if one.size > limit]
        if large:
            await self._reception.announce(large)

    def _stat(self, key: str) -> StoredObject | None:
        try:
            return self._reception.store.stat(Buckets.DROP, key)
        except ObjectMissing:
            return None

    def _fetch(self, wanted: tuple[SpooledFile, StoredObject]) -> None:
        file, entry = wanted
        for chunk in self._reception.store.stream(Buckets.DROP, entry.key, entry.etag):
            file.feed(chunk)
        file.finish()

    def _said(self, upload_id: str, entry: StoredObject) -> UploadMeta:
        meta, problems = said_of(upload_id, entry.metadata)
        if problems:
            self._log.warning("drop.bad_metadata", upload_id=upload_id, key=entry.key[:200], bad=problems)
        return meta

    async def _noted(self, upload_ids: Iterable[str]) -> frozenset[str]:
        wanted = list(upload_ids)
        noted = await self._reception.database.read(lambda connection: noted_uploads(connection, wanted))
        return frozenset(noted)

    async def _in_threads(self, work: Callable[[A], T], items: Iterable[A]) -> list[T]:
        """All of them, then the first failure: nothing goes on in the background."""
        results = await asyncio.gather(
            *(self._reception.in_thread(work, item) for item in items), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return [result for result in results if not isinstance(result, BaseException)]


def created_keys(messages: Iterable[BucketNotified]) -> list[str]:
    """Keys of bucket drop that something was put under, each once, in the order they are named."""
    records = (record for message in messages for record in message.records)
    keys = (
        unquote_plus(record.s3.object.key)
        for record in records
        if record.s3.bucket.name == Buckets.DROP and record.event_name.removeprefix("s3:").startswith(CREATED)
    )
    return list(dict.fromkeys(key for key in keys if key and not key.endswith("/")))


def _unread(meta: UploadMeta, entry: StoredObject) -> ImageUploaded:
    """The event of an object that is too large: it ends as rejected, and nobody reads terabytes for it.

    Its digest, which is never compared, is that of its upload id: the bytes' own is not known.
    """
    digest = hashlib.sha256(meta.upload_id.encode()).hexdigest()
    ref = ObjectRef(bucket=Buckets.DROP, key=entry.key[:KEY_LENGTH], size=entry.size, sha256=digest)
    return announced(meta, entry.key, ref, entry.last_modified)


def _close(arrivals: Iterable[Arrival]) -> None:
    for arrival in arrivals:
        arrival.file.close()


def _groups(keys: Iterator[str], size: int) -> Iterator[list[str]]:
    while group := list(islice(keys, size)):
        yield group
