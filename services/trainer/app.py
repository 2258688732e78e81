"""Composition of the trainer. The parent never imports TensorFlow: fitting runs in a child."""

from __future__ import annotations

from contracts.events import ModelExported, ModelTrained, TrainFailed, TrainProgressed, TrialCompleted
from services.runtime.service import Service
from services.trainer.handlers import Exporter, Trainer
from services.trainer.settings import TrainerSettings
from services.trainer.store import metadata

PUBLISHES = (TrainProgressed, ModelTrained, TrialCompleted, TrainFailed, ModelExported)


def create_app(settings: TrainerSettings | None = None) -> Service:
    """The trainer, ready to be started."""
    settings = settings or TrainerSettings()
    service = Service("trainer", settings, metadata, publishes=PUBLISHES)
    trainer = Trainer(service.database, settings, service.log)
    exporter = Exporter(service.database, settings, service.log)
    service.handle("trainer-snapshots", trainer.note_snapshot)
    service.handle("trainer-requests", trainer.train)
    service.handle("trainer-exports", exporter.handle)
    return service
