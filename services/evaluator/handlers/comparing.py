"""Has two models compared on the same images."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from contracts.commands import RequestComparison
from contracts.events import ModelsCompared, ModelTrained
from contracts.values import ObjectRef
from services.evaluator import store
from services.evaluator.handlers.leased import Leases
from services.evaluator.handlers.library import LibraryNotes
from services.evaluator.handlers.scoring import Children
from services.evaluator.scoring.specs import Comparing
from services.runtime.database import Database
from services.runtime.delivery import Delivery

JOB = "services.evaluator.comparing"


class Comparer:
    """Answers ``model.compare-requested``."""

    def __init__(
        self, database: Database, notes: LibraryNotes, children: Children, leases: Leases, log: Any
    ) -> None:
        self._database = database
        self._notes = notes
        self._children = children
        self._leases = leases
        self._log = log

    async def requested(self, delivery: Delivery[RequestComparison]) -> None:
        """Compare, once.

        Raises:
            Unprocessable: a model is not known, or they take images of different sizes.
            NotYet: a snapshot or a version of the taxonomy was not heard of.
        """
        request = delivery.message
        await self._leases.run(f"comparison {request.request_id}", self._work(delivery))

    async def _work(self, delivery: Delivery[RequestComparison]) -> None:
        request = delivery.message
        if await self._database.read(lambda c: store.is_compared(c, request.request_id)):
            self._log.info("comparison.repeated", request_id=request.request_id)
            return
        a, b = await self._notes.model(request.model_a), await self._notes.model(request.model_b)
        dataset_of = b if request.dataset_of is None else await self._notes.model(request.dataset_of)
        under = await self._notes.under(b, dataset_of, request.taxonomy_version)
        under_a = await self._notes.under(a, dataset_of, under.version)
        scorings = [
            await self._children.scoring(a, request.request_id, under_a),
            await self._children.scoring(b, request.request_id, under),
        ]
        asked = Comparing(
            request_id=request.request_id, a=scorings[0], b=scorings[1],
            ancestors_a=await self._learned_from(a), ancestors_b=await self._learned_from(b),
        )  # fmt: skip
        result = await self._children.run(JOB, asked, scorings, delivery.progressed)
        compared = ModelsCompared.model_validate({
            **result, "request_id": request.request_id, "model_a": a.model_version,
            "model_b": b.model_version, "dataset_of": dataset_of.model_version,
            "taxonomy_version": under.version, "compared_at": datetime.now(UTC),
        })  # fmt: skip
        await self._database.run(lambda unit: store.record_comparison(unit, compared))
        await self._children.tidy(scorings)
        self._log.info(
            "models.compared", request_id=request.request_id, fixed=compared.fixed, broken=compared.broken
        )

    async def _learned_from(self, model: ModelTrained) -> tuple[ObjectRef, ...]:
        return await self._database.read(lambda c: store.learned_from(c, model))
