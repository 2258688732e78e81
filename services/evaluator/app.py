"""Composition of the evaluator. The parent never imports TensorFlow: children score and explain."""

from __future__ import annotations

from contracts.events import ModelRescored, ModelsCompared, ModelScored, ScoringProgressed
from services.evaluator.explainer import Explainer
from services.evaluator.handlers import FlagNotes, LibraryNotes, ModelsHeard
from services.evaluator.http import explanations, reports
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
    service.handle_batch("evaluator-flags", FlagNotes(service.database).heard)
    service.handle("evaluator-models", heard.handle)
    explainer = Explainer(service.store, settings, service.log)
    service.on_stop(explainer.close)
    asked = explanations.router(service.database, service.store, explainer)
    register(service, (reports.router(service.database, service.store), asked))
    return service
