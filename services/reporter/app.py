"""Wiring of the reporter: five durables into one projection, one page in front of it."""

from __future__ import annotations

from services.reporter.eventlog import EventLog
from services.reporter.handlers import Projector
from services.reporter.rebuild import HEARD, Rebuild
from services.reporter.settings import ReporterSettings
from services.reporter.store import metadata
from services.reporter.web.application import build_application
from services.runtime.service import Service


def create_app(settings: ReporterSettings | None = None) -> Service:
    """The reporter, not yet started."""
    settings = settings or ReporterSettings()
    service = Service("reporter", settings, metadata, publishes=())
    projector = Projector(service.database)
    for heard in HEARD:
        service.handle_batch(heard.durable, projector.apply)

    async def open_log() -> EventLog:
        return EventLog(await service.broker.connect())  # the connection that is open already

    rebuild = Rebuild(service.database, open_log)
    service.on_stop(rebuild.stop)
    application = build_application(settings, service.database, service.store, rebuild)
    service.on_stop(application.state.owners.close)
    service.mount(application)
    return service
