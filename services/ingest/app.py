"""Composition of ingest: the only place that builds its clients."""

from __future__ import annotations

import asyncio
import shutil
from concurrent.futures import ThreadPoolExecutor

from contracts import events
from services.ingest.decoding.pool import Decoder
from services.ingest.handlers import Handlers
from services.ingest.http.application import create_http
from services.ingest.http.uploads import UPLOADS
from services.ingest.intake import Intake
from services.ingest.packing import Packer
from services.ingest.reception.posted import Reception
from services.ingest.settings import IngestSettings
from services.ingest.store import metadata
from services.runtime.service import Service

PUBLISHES = (
    events.ImageUploaded, events.ImageAccepted, events.ImageRepeated, events.ImageRejected,
    events.ImageFlagged, events.ImageLabelled, events.ImageRelabelled, events.ImageUnlabelled,
    events.OpinionGiven, events.DoubleCheckRequested, events.DoubleChecked, events.BenchmarkAssigned,
    events.TaxonomyChanged, events.SnapshotProgressed, events.SnapshotPacked,
)  # fmt: skip


def create_app(settings: IngestSettings | None = None) -> Service:
    """The ingest service, not yet started."""
    settings = settings or IngestSettings()
    service = Service("ingest", settings, metadata, PUBLISHES)
    database, store = service.database, service.store
    threads = ThreadPoolExecutor(settings.object_threads, "objects")
    decoder = Decoder(
        settings.picture_rules,
        processes=settings.decoder_processes,
        memory_bytes=settings.decoder_memory_bytes,
        cpu_s=settings.decoder_cpu_s,
        timeout_s=settings.decoder_timeout_s,
    )
    packer = Packer(
        store,
        settings.work_dir,
        shard_threads=settings.shard_threads,
        object_threads=settings.object_threads,
    )
    intake = Intake(database, store, threads, decoder, settings.max_file_bytes)
    handlers = Handlers(database, store, intake, packer, settings)
    service.handle_batch("ingest-uploads", handlers.uploads)
    service.handle_batch("ingest-verdicts", handlers.verdicts)
    service.handle_batch("ingest-labels", handlers.requests)
    service.handle_batch("ingest-classes", handlers.requests)
    service.handle("ingest-snapshots", handlers.snapshot)
    service.mount(create_http(Reception(database, store, threads), database, settings))

    async def clear_scratch() -> None:
        """A killed process leaves its temporary files behind."""
        await asyncio.to_thread(packer.clear)
        await asyncio.to_thread(shutil.rmtree, settings.work_dir / UPLOADS, ignore_errors=True)

    async def close() -> None:
        await decoder.close()
        threads.shutdown()

    service.on_start(clear_scratch)
    service.on_stop(close)
    return service
