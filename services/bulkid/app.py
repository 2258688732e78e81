"""Composition of bulkid. The parent never imports TensorFlow: identifying runs in a child."""

from __future__ import annotations

from contracts.events import BulkCompleted, BulkIdentified
from services.bulkid.handlers import BulkIdentifier
from services.bulkid.settings import BulkidSettings
from services.bulkid.store import metadata
from services.runtime.service import Service


def create_app(settings: BulkidSettings | None = None) -> Service:
    """Bulkid, ready to be started."""
    settings = settings or BulkidSettings()
    service = Service("bulkid", settings, metadata, publishes=[BulkIdentified, BulkCompleted])
    identifier = BulkIdentifier(service.database, settings, service.log)
    service.handle("bulkid-snapshots", identifier.snapshot_packed)
    service.handle("bulkid-models", identifier.model_exported)
    service.handle("bulkid-requests", identifier.requested)
    return service
