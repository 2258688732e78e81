"""Gives uploads their outcome: fetch, decode, store the pictures, then one transaction."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TypeVar, TypeVarTuple

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from contracts.events import ImageAccepted, ImageUploaded
from contracts.manifests import Buckets
from contracts.values import ImageId, LabelKind, ObjectRef
from services.ingest.actions.labels import label_uploads
from services.ingest.decoding.pool import Decoded, Decoder
from services.ingest.domain import facts
from services.ingest.domain.facts import PictureObjects
from services.ingest.domain.intake import Accepted, Outcome, Rejected, Repeated, refused_unread, settle
from services.ingest.domain.picture import Normalised
from services.ingest.domain.text import storable
from services.ingest.store import images as library
from services.ingest.store import uploads as rows
from services.runtime.database import Database, Unit
from services.runtime.objectstore import ObjectStore

T = TypeVar("T")
Args = TypeVarTuple("Args")

GROUP_BYTES = 64 * 2**20
"""Originals held in memory at once: two of the largest files, or a whole batch of phone photos."""
SETTLE_ATTEMPTS = 5
"""Each lost race means that another replica added one of a batch's images; more in a row is a fault."""


class Intake:
    """Settles batches of uploads; safe to repeat and to run in several processes."""

    def __init__(
        self,
        database: Database,
        store: ObjectStore,
        threads: ThreadPoolExecutor,
        decoder: Decoder,
        max_file_bytes: int,
    ) -> None:
        self._database = database
        self._store = store
        self._threads = threads
        self._decoder = decoder
        self._max_file_bytes = max_file_bytes

    async def take(self, uploads: Iterable[ImageUploaded]) -> None:
        """Give each upload its one outcome; those that have it are left alone.

        Raises:
            ObjectMissing, ObjectDamaged: an original is not in the store as announced.
            DecoderBroken: nothing can be decoded at the moment.
        """
        fresh = list({upload.upload_id: storable(upload) for upload in uploads}.values())
        settled, known = await self._database.read(lambda connection: _noted(connection, fresh))
        pending = [upload for upload in fresh if upload.upload_id not in settled]
        if not pending:
            return
        unknown = {item.object.sha256: item.object for item in pending if item.object.sha256 not in known}
        decoded, objects = await self._decode(list(unknown.values()))
        if objects:
            # Before the commit: once an upload is settled nobody makes its picture again.
            await asyncio.to_thread(self._store.sync)
        for attempt in range(1, SETTLE_ATTEMPTS + 1):
            try:
                at = datetime.now(UTC)
                await self._database.run(lambda unit: _commit(unit, pending, decoded, objects, at))  # noqa: B023
            except IntegrityError:
                if attempt == SETTLE_ATTEMPTS:
                    raise
            else:
                return

    async def _decode(
        self, originals: Sequence[ObjectRef]
    ) -> tuple[dict[ImageId, Decoded], dict[ImageId, PictureObjects]]:
        decoded: dict[ImageId, Decoded] = {}
        objects: dict[ImageId, PictureObjects] = {}
        readable = []
        for ref in originals:
            refusal = refused_unread(ref.size, self._max_file_bytes)
            if refusal is None:
                readable.append(ref)
            else:
                decoded[ref.sha256] = refusal
        for group in _groups(readable):
            files = await asyncio.gather(*(self._in_thread(self._store.get, ref) for ref in group))
            results = await self._decoder.decode(files)
            decoded.update(zip((ref.sha256 for ref in group), results, strict=True))
            pictures = {
                ref.sha256: result
                for ref, result in zip(group, results, strict=True)
                if isinstance(result, Normalised)
            }
            stored = await asyncio.gather(*(self._in_thread(self._put, item) for item in pictures.values()))
            objects.update(zip(pictures, stored, strict=True))
        return decoded, objects

    def _put(self, picture: Normalised) -> PictureObjects:
        # Keys are digests of the content, not image ids: an object never changes under its key,
        # so a reference in an event stays true when another replica, or another picture size,
        # normalises the same image again.
        return PictureObjects(
            normalised=self._put_content("normalised", picture.png, "png", "image/png"),
            thumbnail=self._put_content("thumbnails", picture.thumbnail, "webp", "image/webp"),
        )

    def _put_content(self, folder: str, data: bytes, suffix: str, content_type: str) -> ObjectRef:
        key = f"{folder}/{hashlib.sha256(data).hexdigest()}.{suffix}"
        return self._store.put(Buckets.LIBRARY, key, data, content_type)

    async def _in_thread(self, work: Callable[[*Args], T], *args: *Args) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *args)


def _noted(
    connection: sa.Connection, uploads: Sequence[ImageUploaded]
) -> tuple[frozenset[str], frozenset[ImageId]]:
    settled = rows.settled_uploads(connection, [item.upload_id for item in uploads], lock=False)
    return settled, library.known_images(connection, {item.object.sha256 for item in uploads})


def _groups(originals: Sequence[ObjectRef]) -> Iterator[list[ObjectRef]]:
    group: list[ObjectRef] = []
    size = 0
    for ref in originals:
        if group and size + ref.size > GROUP_BYTES:
            yield group
            group, size = [], 0
        group.append(ref)
        size += ref.size
    if group:
        yield group


def _commit(
    unit: Unit,
    uploads: Sequence[ImageUploaded],
    decoded: Mapping[ImageId, Decoded],
    objects: Mapping[ImageId, PictureObjects],
    at: datetime,
) -> None:
    """Settle what is still open, against the library as this transaction sees it."""
    connection = unit.connection
    rows.add_uploads(connection, uploads)
    settled = rows.settled_uploads(connection, [item.upload_id for item in uploads], lock=True)
    outcomes = settle(
        [item for item in uploads if item.upload_id not in settled],
        decoded,
        library.known_images(connection, {item.object.sha256 for item in uploads}),
        library.images_by_pixels(
            connection, [item.pixel_sha256 for item in decoded.values() if isinstance(item, Normalised)]
        ),
    )
    added: list[tuple[ImageAccepted, str]] = []
    for outcome in outcomes:
        match outcome:
            case Accepted(upload=upload, picture=picture):
                message = facts.accepted(outcome, objects[upload.object.sha256], at)
                added.append((message, picture.pixel_sha256))
                unit.emit(message)
            case Repeated():
                unit.emit(facts.repeated(outcome, at))
            case Rejected():
                unit.emit(facts.rejected(outcome, at))
    rows.write_outcomes(connection, outcomes, at)
    library.add_images(connection, added)
    for fact in label_uploads(connection, _offers(outcomes), at):
        unit.emit(facts.labelled(fact))


def _offers(outcomes: Sequence[Outcome]) -> Iterator[tuple[ImageId, str, LabelKind | None, str]]:
    """What uploaders say of their images; one of several copies of an image may be the first to say so."""
    for outcome in outcomes:
        upload = outcome.upload
        if upload.label is not None and not isinstance(outcome, Rejected):
            image_id = outcome.image_id if isinstance(outcome, Repeated) else upload.object.sha256
            yield image_id, upload.label, upload.label_kind, upload.uploaded_by
