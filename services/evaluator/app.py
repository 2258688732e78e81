"""Composition of the evaluator. The parent never imports TensorFlow: scoring runs in a child."""

from __future__ import annotations

from contracts.events import ModelRescored, ModelsCompared, ModelScored, ScoringProgressed
from services.evaluator.handlers import LibraryNotes, ModelsHeard
from services.evaluator.reviewing import PUBLISHES as REVIEWING
from services.evaluator.reviewing import register
from services.evaluator.settings import EvaluatorSettings
from services.evaluator.store import metadata
from services.runtime.service import Service

PUBLISHES = (ModelScored, ModelRescored, ScoringProgressed, ModelsCompared)


def create_app(settings: EvaluatorSettings | None = None) -> Service:
    """The evaluator, ready to be started."""
    settings = settings or EvaluatorSettings()
    service = Service("evaluator", settings, metadata, publishes=(*PUBLISHES, *REVIEWING))
    heard = ModelsHeard(service.database, settings, service.log)
    service.handle("evaluator-library", LibraryNotes(service.database).handle)
    service.handle("evaluator-models", heard.handle)
    register(service)
    return service
