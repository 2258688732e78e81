"""Composition of the evaluator. The parent never imports TensorFlow: scoring runs in a child."""

from __future__ import annotations

from contracts.events import ModelScored
from services.evaluator.handlers import Evaluator
from services.evaluator.settings import EvaluatorSettings
from services.evaluator.store import metadata
from services.runtime.service import Service


def create_app(settings: EvaluatorSettings | None = None) -> Service:
    """The evaluator, ready to be started."""
    settings = settings or EvaluatorSettings()
    service = Service("evaluator", settings, metadata, publishes=[ModelScored])
    evaluator = Evaluator(service.database, settings, service.log)
    service.handle("evaluator-models", evaluator.handle)
    return service
