"""``GET /api/v1/explanations/{image_id}``: what a model's score of an image rests on, made when asked for."""

from __future__ import annotations

import asyncio
from difflib import get_close_matches
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from contracts.events import ModelTrained
from contracts.values import ImageId
from services.evaluator import store
from services.evaluator.domain.explaining.findings import Method
from services.evaluator.domain.faults import ActionRefused
from services.evaluator.explainer import Busy, Explainer, Working
from services.evaluator.explaining.kept import Kept, forget
from services.evaluator.explaining.questions import Question, Task
from services.evaluator.http.queue import NEWEST, Version
from services.evaluator.review.queues import newest_queue
from services.runtime.database import Database
from services.runtime.objectstore import ObjectDamaged, ObjectMissing, ObjectStore
from services.runtime.web.refusals import Refused

WAIT_MOST_S = 20.0
SNAPSHOTS = 5
VERSIONS_NAMED = 5
RETRY = {"Retry-After": "60"}
Image = Annotated[ImageId, Path()]


class ExplanationQuery(BaseModel):
    """Parameters; a misspelt one is refused, not ignored."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    model_version: Version = NEWEST
    method: Method = Method.GRAD_CAM
    class_name: Annotated[str | None, Field(alias="class", max_length=200)] = None
    """None: the model's own answer."""
    wait_s: Annotated[float, Field(ge=0.0, le=WAIT_MOST_S)] = 0.0
    """The answer is held back so long, or until it is ready."""


def router(database: Database, objects: ObjectStore, explainer: Explainer) -> APIRouter:
    """Reading only: an explanation changes nothing, and is made once."""
    routes = APIRouter(prefix="/api/v1/explanations")
    desk = _Desk(database, explainer)

    @routes.get("/{image_id}")
    async def explanation(image_id: Image, query: Annotated[ExplanationQuery, Query()]) -> Any:
        found = await desk.ask(image_id, query)
        if isinstance(found, Working):
            return _working(found)
        return {"state": "ready"} | found.explanation.model_dump(mode="json")

    @routes.get("/{image_id}/overlay")
    async def overlay(image_id: Image, query: Annotated[ExplanationQuery, Query()]) -> Response:
        found = await desk.ask(image_id, query)
        if isinstance(found, Working):
            return _working(found)
        try:
            png = await asyncio.to_thread(objects.get, found.overlay)
        except (ObjectMissing, ObjectDamaged) as error:
            await asyncio.to_thread(forget, objects, found)
            raise ActionRefused(
                409, f"the picture was lost and is made again, ask once more: {error}"
            ) from error
        return Response(png, media_type="image/png")

    return routes


class _Desk:
    """Turns a request into a task."""

    def __init__(self, database: Database, explainer: Explainer) -> None:
        self._database, self._explainer = database, explainer

    async def ask(self, image_id: ImageId, query: ExplanationQuery) -> Kept | Working:
        """What the explainer answers.

        Raises:
            ActionRefused, Refused: it cannot be had, or not now.
        """
        model = await self._model(query.model_version)
        if query.class_name is not None and query.class_name not in model.classes:
            near = get_close_matches(query.class_name, model.classes, n=3)
            hint = f"did you mean {', '.join(near)}?" if near else "see `menagerie dataset summary`"
            raise ActionRefused(
                422, f"model {model.model_version} does not know the class {query.class_name!r}: {hint}"
            )
        packed = await self._database.read(store.newest_snapshots)
        manifests = [one.manifest for one in packed if one.image_size_px == model.image_size_px]
        question = Question(
            image_id=image_id,
            model_version=model.model_version,
            method=query.method,
            class_name=query.class_name,
        )
        task = Task(question=question, model=model, manifests=tuple(manifests[:SNAPSHOTS]))
        try:
            found = await self._explainer.ask(task, query.wait_s)
        except Busy as busy:
            raise Refused(503, f"{busy}; ask again in a minute", RETRY) from busy
        if isinstance(found, Kept | Working):
            return found
        raise Refused(found.status, found.detail)

    async def _model(self, version: str) -> ModelTrained:
        if version == NEWEST:
            version = (await self._database.read(newest_queue)).model_version
        found = await self._database.read(lambda c: store.find_model(c, version))
        if found is None:
            known = await self._database.read(lambda c: store.known_versions(c, VERSIONS_NAMED))
            names = ", ".join(known) or "none yet"
            raise ActionRefused(
                404, f"model {version} was never trained here; the newest models are: {names}"
            )
        return found


def _working(working: Working) -> JSONResponse:
    return JSONResponse({"state": "working", "ahead": working.ahead}, 202)
