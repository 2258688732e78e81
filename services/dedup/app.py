"""Composition root of dedup."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from contracts.commands import ResolveDuplicate, UndoDuplicate
from contracts.events import ImageDeduplicated, PairJudged
from contracts.message import Message
from services.dedup.handlers import Handlers
from services.dedup.http.application import create_http
from services.dedup.judging import Judging
from services.dedup.resolving import Resolving
from services.dedup.settings import DedupSettings
from services.dedup.store import metadata
from services.dedup.vector_handlers import VectorHandler
from services.runtime.service import Service
from services.runtime.web.commands import Action


def create_app(settings: DedupSettings | None = None) -> Service:
    """The dedup service: any number of replicas, one active writer at a time (design.md, Scale)."""
    settings = settings or DedupSettings()
    service = Service("dedup", settings, metadata, publishes=[ImageDeduplicated, PairJudged])
    judging = Judging(settings.limits)
    resolving = Resolving(judging)
    handlers = Handlers(service, judging, resolving, ThreadPoolExecutor(settings.fetch_threads, "fetch"))
    service.on_start(handlers.prepare)
    service.on_stop(handlers.close)
    service.handle_batch("dedup-images", handlers.images)
    service.handle_batch("dedup-labels", handlers.labels)
    service.handle_batch("dedup-resolutions", handlers.resolutions)
    service.handle("dedup-vectors", VectorHandler(service, judging, settings).computed)
    actions: dict[type[Message], Action] = {
        ResolveDuplicate: resolving.perform,
        UndoDuplicate: resolving.perform,
    }
    service.mount(create_http(service.database, settings.api_token, judging.limits, actions))
    return service
