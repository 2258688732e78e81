"""``GET /api/v1/queue``: images whose label is in doubt, the most doubtful first."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from contracts.taxonomy import ClassName
from contracts.values import BenchmarkName
from services.evaluator.domain.faults import ActionRefused
from services.evaluator.review.queues import newest_queue
from services.evaluator.review.reading import Part, Queues
from services.runtime.database import Database
from services.runtime.objectstore import ObjectDamaged, ObjectMissing

PAGE_IMAGES = 100
PAGE_IMAGES_MOST = 1000
NEWEST = "newest"


class QueueQuery(BaseModel):
    """Parameters of the list; a misspelt one is refused, not ignored."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    model_version: Annotated[str, Field(pattern=r"^(newest|[0-9]{3,9})$")] = NEWEST
    class_name: Annotated[ClassName | None, Field(alias="class")] = None
    confused_with: ClassName | None = None
    sets: Annotated[list[BenchmarkName], Field(alias="set", max_length=20)] = []
    suspicion: Literal["mislabelled", "wrong", "low-scoring"] | None = None
    limit: Annotated[int, Field(ge=1, le=PAGE_IMAGES_MOST)] = PAGE_IMAGES
    after: Annotated[int, Field(ge=0)] = 0
    """The ``next`` of the page before."""

    def part(self) -> Part:
        """The images."""
        if self.confused_with is not None and self.class_name is None:
            raise ActionRefused(422, "confused_with goes with class")
        return Part(self.class_name, self.confused_with, tuple(self.sets), self.suspicion)


def router(database: Database, queues: Queues) -> APIRouter:
    """Reading only; the newest scoring of a model counts."""
    routes = APIRouter(prefix="/api/v1/queue")

    @routes.get("")
    async def listed(query: Annotated[QueueQuery, Query()]) -> dict[str, Any]:
        part = query.part()
        version = None if query.model_version == NEWEST else query.model_version
        stored = await database.read(lambda c: newest_queue(c, version))
        try:
            opened = await queues.open(stored.file)
        except (ObjectMissing, ObjectDamaged) as error:
            raise ActionRefused(409, f"the queue can no longer be read: {error}") from error
        found, following = await asyncio.to_thread(opened.page, part, query.limit, query.after)
        return {
            "model_version": stored.model_version,
            "request_id": stored.request_id,
            "scored_at": stored.scored_at,
            "counts": await asyncio.to_thread(opened.counts),
            "images": found,
            "next": following,
        }

    return routes
