"""``GET /api/v1/queue``: images whose label is in doubt, the most doubtful first."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from contracts.taxonomy import ClassName
from contracts.values import BenchmarkName, ImageId
from services.evaluator.domain.faults import ActionRefused
from services.evaluator.review.queues import StoredQueue, newest_queue
from services.evaluator.review.reading import Part, Queue, Queues
from services.runtime.database import Database
from services.runtime.objectstore import ObjectDamaged, ObjectMissing

PAGE_IMAGES = 100
PAGE_IMAGES_MOST = 1000
RANKS_MOST = 10_000
NEWEST = "newest"
Version = Annotated[str, Field(pattern=r"^(newest|[0-9]{3,9})$")]


class PartQuery(BaseModel):
    """Which images; a misspelt parameter is refused, not ignored."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    model_version: Version = NEWEST
    class_name: Annotated[ClassName | None, Field(alias="class")] = None
    confused_with: ClassName | None = None
    sets: Annotated[list[BenchmarkName], Field(alias="set", max_length=20)] = []
    suspicion: Literal["mislabelled", "wrong", "low-scoring"] | None = None

    def part(self) -> Part:
        """The images."""
        if self.confused_with is not None and self.class_name is None:
            raise ActionRefused(422, "confused_with goes with class")
        return Part(self.class_name, self.confused_with, tuple(self.sets), self.suspicion)


class QueueQuery(PartQuery):
    """The same of a page of the list."""

    limit: Annotated[int, Field(ge=1, le=PAGE_IMAGES_MOST)] = PAGE_IMAGES
    after: Annotated[int, Field(ge=0)] = 0
    """The ``next`` of the page before."""


class RanksQuery(PartQuery):
    """Images of which a page knows more than the queue, such as those that were looked at."""

    image_ids: Annotated[list[ImageId], Field(max_length=RANKS_MOST)]


def router(database: Database, queues: Queues) -> APIRouter:
    """Reading only; the newest scoring of a model counts."""
    routes = APIRouter(prefix="/api/v1/queue")

    async def opened(model_version: str) -> tuple[StoredQueue, Queue]:
        version = None if model_version == NEWEST else model_version
        stored = await database.read(lambda c: newest_queue(c, version))
        try:
            return stored, await queues.open(stored.file)
        except (ObjectMissing, ObjectDamaged) as error:
            raise ActionRefused(409, f"the queue can no longer be read: {error}") from error

    @routes.get("")
    async def listed(query: Annotated[QueueQuery, Query()]) -> dict[str, Any]:
        part = query.part()
        stored, queue = await opened(query.model_version)
        found, following = await asyncio.to_thread(queue.page, part, query.limit, query.after)
        return {
            "model_version": stored.model_version,
            "request_id": stored.request_id,
            "scored_at": stored.scored_at,
            "counts": await asyncio.to_thread(queue.counts),
            "total": await asyncio.to_thread(queue.total, part),
            "images": found,
            "next": following,
        }

    @routes.get("/parts")
    async def parts(model_version: Version = NEWEST) -> dict[str, Any]:
        stored, queue = await opened(model_version)
        return {"model_version": stored.model_version, **await asyncio.to_thread(queue.parts)}

    @routes.post("/ranks")
    async def ranks(query: RanksQuery) -> dict[str, Any]:
        _, queue = await opened(query.model_version)
        return {"ranks": await asyncio.to_thread(queue.ranks, query.part(), query.image_ids)}

    return routes
