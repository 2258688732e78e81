"""Which model is in production, and what a new one needs to be measured beside it."""

from __future__ import annotations

from contracts.events import ModelExported, ModelTrained
from contracts.values import ObjectRef
from services.evaluator import store
from services.evaluator.review.confusions import confused_pairs
from services.evaluator.scoring.specs import Evaluating, InProduction, Scoring, Stored
from services.runtime.database import Database
from services.runtime.delivery import Delivery

SCORINGS_LOOKED_AT = 5
"""Of the model in production: the child takes that with most of the images."""


class Production:
    """In production is the model that was exported last."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def exported(self, delivery: Delivery[ModelExported]) -> None:
        """Remember it; whatever comes twice changes nothing."""
        exported = delivery.message
        await self._database.run(lambda unit: store.record_export(unit, exported))

    async def evaluating(self, scoring: Scoring, flags_file: str | None = None) -> Evaluating:
        """The scoring beside what stands now: the table of confused pairs, and the model in production."""
        version = scoring.model.model_version
        pairs = await self._database.read(confused_pairs)
        other = await self._database.read(lambda c: store.in_production(c, version))
        return Evaluating(
            scoring=scoring,
            confused=pairs,
            ancestors=await self._learned_from(scoring.model),
            production=None if other is None else await self._of(other),
            flags_file=flags_file,
        )

    async def _of(self, version: str) -> InProduction:
        rows = await self._database.read(lambda c: store.newest_scorings(c, version, SCORINGS_LOOKED_AT))
        trained = await self._database.read(lambda c: store.find_model(c, version))
        return InProduction(
            model_version=version,
            scorings=tuple(Stored.model_validate(dict(row)) for row in rows),
            ancestors=() if trained is None else await self._learned_from(trained),
        )

    async def _learned_from(self, model: ModelTrained) -> tuple[ObjectRef, ...]:
        return await self._database.read(lambda c: store.learned_from(c, model))
