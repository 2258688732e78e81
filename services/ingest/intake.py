"""Gives uploads their outcome: fetch, decode, store the pictures, then one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from contracts.events import ImageAccepted, ImageFlagged, ImageUploaded
from contracts.manifests import Buckets
from contracts.values import ImageId
from services.ingest.actions.benchmarks import UploadedBenchmark, benchmark_uploads
from services.ingest.actions.labels import UploadedLabel, label_uploads
from services.ingest.decoding.pictures import Pictures
from services.ingest.decoding.pool import Decoded, Decoder
from services.ingest.domain import facts
from services.ingest.domain.facts import PictureObjects
from services.ingest.domain.intake import Accepted, Outcome, Rejected, Repeated, settle
from services.ingest.domain.picture import Normalised
from services.ingest.store import images as library
from services.ingest.store import uploads as rows
from services.runtime.database import Database, Unit
from services.runtime.objectstore import ObjectStore
from services.runtime.text import storable

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
        *,
        keep_originals: bool = True,
    ) -> None:
        self._database = database
        self._store = store
        self._pictures = Pictures(store, threads, decoder, max_file_bytes)
        self._keep_originals = keep_originals

    async def take(self, uploads: Iterable[ImageUploaded]) -> None:
        """Give each upload its one outcome; those that have it are left alone.

        Raises:
            ObjectMissing, ObjectDamaged: an original is not in the store as announced.
            DecoderBroken: nothing can be decoded at the moment.
        """
        fresh = list({upload.upload_id: storable(upload) for upload in uploads}.values())
        settled, known = await self._database.read(lambda connection: _noted(connection, fresh))
        pending = [upload for upload in fresh if upload.upload_id not in settled]
        if pending:
            await self._settle(pending, known)
        if not self._keep_originals:
            # Also those settled before: a crash may have come between the commit and the removal.
            await self._remove_originals(fresh)

    async def _settle(self, pending: Sequence[ImageUploaded], known: frozenset[ImageId]) -> None:
        unknown = {item.object.sha256: item.object for item in pending if item.object.sha256 not in known}
        made = await self._pictures.make(list(unknown.values()))
        if made.objects:
            # Before the commit: once an upload is settled nobody makes its picture again.
            await asyncio.to_thread(self._store.sync)
        for attempt in range(1, SETTLE_ATTEMPTS + 1):
            try:
                at = datetime.now(UTC)
                await self._database.run(
                    lambda unit: _commit(unit, pending, made.decoded, made.objects, at)  # noqa: B023
                )
            except IntegrityError:
                if attempt == SETTLE_ATTEMPTS:
                    raise
            else:
                return

    async def _remove_originals(self, uploads: Sequence[ImageUploaded]) -> None:
        """Those of images in the library. A rejected file stays for a person to look at, and a copy with
        other bytes because its next upload would be decoded again.
        """
        image_ids = {upload.object.sha256 for upload in uploads}
        spent = await self._database.read(lambda connection: _spent(connection, image_ids))
        for upload in uploads:
            if upload.object.sha256 in spent and upload.object.bucket == Buckets.INCOMING:
                await asyncio.to_thread(self._store.remove, upload.object.bucket, upload.object.key)


def _spent(connection: sa.Connection, image_ids: Collection[ImageId]) -> frozenset[ImageId]:
    """Images whose bytes nobody will fetch again: an upload that comes from here on finds them known."""
    return library.known_images(connection, image_ids) - rows.unsettled_images(connection, image_ids)


def _noted(
    connection: sa.Connection, uploads: Sequence[ImageUploaded]
) -> tuple[frozenset[str], frozenset[ImageId]]:
    settled = rows.settled_uploads(connection, [item.upload_id for item in uploads], lock=False)
    return settled, library.known_images(connection, {item.object.sha256 for item in uploads})


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
    flagged: list[ImageFlagged] = []
    for outcome in outcomes:
        match outcome:
            case Accepted(upload=upload, picture=picture):
                message = facts.accepted(outcome, objects[upload.object.sha256], at)
                added.append((message, picture.pixel_sha256))
                unit.emit(message)
                doubt = facts.flagged(outcome, at)
                if doubt is not None:
                    flagged.append(doubt)
                    unit.emit(doubt)
            case Repeated():
                unit.emit(facts.repeated(outcome, at))
            case Rejected():
                unit.emit(facts.rejected(outcome, at))
    rows.write_outcomes(connection, outcomes, at)
    library.add_images(connection, added)
    library.add_flags(connection, flagged)
    for fact in label_uploads(connection, _labels(outcomes), at):
        unit.emit(facts.labelled(fact))
    benchmark_uploads(unit, _benchmarks(outcomes), at)


def _labels(outcomes: Sequence[Outcome]) -> Iterator[UploadedLabel]:
    """What uploaders say of their images; one of several copies of an image may be the first to say so."""
    for outcome in outcomes:
        upload = outcome.upload
        if upload.label is not None and not isinstance(outcome, Rejected):
            yield UploadedLabel(
                _image_of(outcome), upload.label, upload.label_kind, upload.uploaded_by, upload.upload_id
            )


def _benchmarks(outcomes: Sequence[Outcome]) -> Iterator[UploadedBenchmark]:
    """The benchmark sets that uploaders name, in the same way."""
    for outcome in outcomes:
        upload = outcome.upload
        if upload.benchmark is not None and not isinstance(outcome, Rejected):
            yield UploadedBenchmark(_image_of(outcome), upload.benchmark, upload.uploaded_by)


def _image_of(outcome: Accepted | Repeated) -> ImageId:
    return outcome.image_id if isinstance(outcome, Repeated) else outcome.upload.object.sha256
