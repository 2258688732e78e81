"""Composition of ingest: the only place that builds its clients."""

from __future__ import annotations

import asyncio
import shutil
from concurrent.futures import ThreadPoolExecutor

from contracts import commands, events
from services.ingest.decoding.pool import Decoder
from services.ingest.handlers import DropHandlers, Handlers
from services.ingest.http.application import create_http
from services.ingest.intake import Intake
from services.ingest.packing.packer import Packer
from services.ingest.packing.snapshots import Snapshots
from services.ingest.reception.drops import Drops
from services.ingest.reception.posted import Reception
from services.ingest.reception.presigned import Presigned
from services.ingest.reception.recurring import Recurring
from services.ingest.reception.spool import FOLDER
from services.ingest.settings import IngestSettings
from services.ingest.store import metadata
from services.runtime.service import Service

PUBLISHES = (
    events.ImageUploaded, events.ImageAccepted, events.ImageRepeated, events.ImageRejected,
    events.ImageFlagged, events.ImageLabelled, events.ImageRelabelled, events.ImageUnlabelled,
    events.OpinionGiven, events.DoubleCheckRequested, events.DoubleChecked, events.BenchmarkAssigned,
    events.TaxonomyChanged, events.SnapshotProgressed, events.SnapshotPacked,
    commands.RequestSnapshot, commands.RequestReconcile,
)  # fmt: skip
SWEEP_S = 600.0
"""Rare beside the day that a presigned upload is kept."""


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
        lambda image: store.get(image.normalised),
        shard_threads=settings.shard_threads,
        fetch_threads=settings.object_threads,
    )
    snapshots = Snapshots(
        database,
        store,
        packer,
        image_size_px=settings.image_size_px,
        shard_images=settings.shard_images,
    )
    intake = Intake(
        database,
        store,
        threads,
        decoder,
        settings.max_file_bytes,
        keep_originals=settings.keep_originals,
    )
    handlers = Handlers(database, intake, snapshots)
    service.handle_batch("ingest-uploads", handlers.uploads)
    service.handle_batch("ingest-verdicts", handlers.verdicts)
    service.handle_batch("ingest-labels", handlers.requests)
    service.handle_batch("ingest-classes", handlers.requests)
    service.handle_batch("ingest-suggestions", handlers.suggestions)
    service.handle("ingest-snapshots", handlers.snapshot)
    reception = Reception(database, store, threads)
    drops = Drops(reception, settings, service.log)
    dropped = DropHandlers(drops)
    service.handle_batch("ingest-drops", dropped.notified)
    service.handle("ingest-reconciles", dropped.reconcile)
    service.mount(create_http(reception, database, settings, store))

    async def clear_scratch() -> None:
        """A killed process leaves its temporary files behind."""
        await asyncio.to_thread(shutil.rmtree, settings.work_dir / FOLDER, ignore_errors=True)

    async def close() -> None:
        await decoder.close()
        threads.shutdown()

    service.on_start(clear_scratch)
    for recurring in (
        Recurring("reconcile", settings.reconcile_interval_s, drops.reconcile, service.log),
        Recurring("sweep", SWEEP_S, Presigned(reception, settings).sweep, service.log),
    ):
        service.on_start(recurring.start)
        service.on_stop(recurring.stop)
    service.on_stop(close)
    return service
