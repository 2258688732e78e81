"""Composition of bulkid. The parent never imports TensorFlow: networks run in children."""

from __future__ import annotations

import asyncio

from contracts.commands import RequestIdentification, RequestVectors
from contracts.events import BulkCompleted, BulkIdentified, ModelExported, ModelTrained, VectorsComputed
from services.bulkid.handlers import BulkIdentifier, VectorMaker
from services.bulkid.settings import BulkidSettings
from services.bulkid.store import metadata
from services.runtime.delivery import Delivery, Handler
from services.runtime.service import Service

PUBLISHES = (BulkIdentified, BulkCompleted, VectorsComputed, RequestVectors)


def create_app(settings: BulkidSettings | None = None) -> Service:
    """Bulkid, ready to be started."""
    settings = settings or BulkidSettings()
    service = Service("bulkid", settings, metadata, publishes=PUBLISHES)
    one_child = asyncio.Lock()
    identifier = BulkIdentifier(service.database, settings, service.log, one_child)
    maker = VectorMaker(service.database, settings, service.log, one_child)
    service.handle("bulkid-snapshots", identifier.snapshot_packed)
    service.handle("bulkid-models", by_model(identifier))
    service.handle("bulkid-requests", by_request(identifier, maker))
    return service


def by_model(identifier: BulkIdentifier) -> Handler:
    """The handler of ``bulkid-models``."""

    async def heard(delivery: Delivery[ModelExported | ModelTrained]) -> None:
        if isinstance(delivery.message, ModelTrained):
            await identifier.model_trained(delivery)  # type: ignore[arg-type]
        else:
            await identifier.model_exported(delivery)  # type: ignore[arg-type]

    return heard


def by_request(identifier: BulkIdentifier, maker: VectorMaker) -> Handler:
    """The handler of ``bulkid-requests``."""

    async def requested(delivery: Delivery[RequestIdentification | RequestVectors]) -> None:
        if isinstance(delivery.message, RequestVectors):
            await maker.requested(delivery)  # type: ignore[arg-type]
        else:
            await identifier.requested(delivery)  # type: ignore[arg-type]

    return requested
