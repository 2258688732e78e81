"""Composition of the trainer. The parent never imports TensorFlow: fitting runs in a child."""

from __future__ import annotations

from contracts.commands import RequestTraining
from contracts.events import (
    ModelCompressed,
    ModelExported,
    ModelTrained,
    SearchCompleted,
    TrainCancelled,
    TrainFailed,
    TrainProgressed,
    TrialCompleted,
)
from services.runtime.service import Service
from services.trainer.handlers import Canceller, Exporter, GivingUp, Searcher, Trainer
from services.trainer.http.application import create_http
from services.trainer.settings import TrainerSettings
from services.trainer.store import metadata
from services.trainer.store.leases import let_go_when_held

PUBLISHES = (
    TrainProgressed, ModelTrained, TrialCompleted, TrainFailed, TrainCancelled, RequestTraining,
    SearchCompleted, ModelExported, ModelCompressed,
)  # fmt: skip


def create_app(settings: TrainerSettings | None = None) -> Service:
    """The trainer, ready to be started."""
    settings = settings or TrainerSettings()
    service = Service("trainer", settings, metadata, publishes=PUBLISHES)
    let_go_when_held(service.database.engine, settings.lease_s / 2)
    trainer = Trainer(service.database, settings, service.log)
    exporter = Exporter(service.database, settings, service.log)
    service.handle("trainer-snapshots", trainer.note_snapshot)
    service.handle("trainer-requests", trainer.train)
    service.handle("trainer-cancels", Canceller(service.database, service.log).handle)
    service.handle("trainer-dead-letters", GivingUp(service.database, settings, service.log).handle)
    service.handle("trainer-searches", Searcher(service.database, settings, service.log).handle)
    service.handle("trainer-exports", exporter.handle)
    service.mount(create_http(service.database, service.store, settings.api_token))
    return service
