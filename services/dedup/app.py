"""Composition root of dedup."""

from __future__ import annotations

from contracts.events import ImageDeduplicated
from services.dedup.handlers import ImageHandler
from services.dedup.settings import DedupSettings
from services.dedup.store import Fingerprints, metadata
from services.runtime.service import Service


def create_app(settings: DedupSettings | None = None) -> Service:
    """The dedup service: one active writer (design.md, Scale)."""
    settings = settings or DedupSettings()
    service = Service("dedup", settings, metadata, publishes=[ImageDeduplicated])
    handler = ImageHandler(service, Fingerprints(settings.max_distance_bits))
    service.on_start(handler.recalibrate)
    service.handle_batch("dedup-images", handler.accept)
    return service
