"""``GET /api/v1/rounds``: rounds of double-checks, their images, and what came of them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from services.evaluator.review import rounds
from services.runtime.database import Database

PAGE = 100
PAGE_MOST = 1000


class RoundsQuery(BaseModel):
    """Parameters of the list; a misspelt one is refused, not ignored."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=PAGE_MOST)] = PAGE


class ItemsQuery(RoundsQuery):
    """The same of a round's images."""

    waiting: bool = False
    after: Annotated[int, Field(ge=0)] = 0
    """The ``next`` of the page before."""


def router(database: Database) -> APIRouter:
    """Reading only; verdicts are given to the library (label.assign, label.double-checked)."""
    routes = APIRouter(prefix="/api/v1/rounds")

    @routes.get("")
    async def listed(query: Annotated[RoundsQuery, Query()]) -> dict[str, Any]:
        return {"rounds": await database.read(lambda c: rounds.listed(c, query.limit))}

    @routes.get("/{round_id}")
    async def one(round_id: str) -> dict[str, Any]:
        return await database.read(lambda c: rounds.one_round(c, round_id))

    @routes.get("/{round_id}/images")
    async def images(round_id: str, query: Annotated[ItemsQuery, Query()]) -> dict[str, Any]:
        await database.read(lambda c: rounds.one_round(c, round_id))
        found, following = await database.read(
            lambda c: rounds.items(c, round_id, query.limit, query.after, query.waiting)
        )
        return {"images": found, "next": following}

    return routes
