"""``GET /api/v1/pairs``: images that look alike, two by two."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from contracts.values import ImageId, PairState
from services.dedup.store.listing import PairFilter, Place, pairs
from services.runtime.database import Database

PAGE_PAIRS = 100
PAGE_PAIRS_MOST = 1000


def _place(text: str) -> str:
    Place.read(text)
    return text


class PairQuery(BaseModel):
    """Parameters of the list; a misspelt one is refused, not ignored."""

    model_config = ConfigDict(extra="forbid")

    state: PairState | None = None
    image_id: ImageId | None = None
    limit: Annotated[int, Field(ge=1, le=PAGE_PAIRS_MOST)] = PAGE_PAIRS
    after: Annotated[str, AfterValidator(_place)] | None = None
    """The ``next`` of the page before."""


def router(database: Database) -> APIRouter:
    """Each page sees what was committed when it was asked."""
    routes = APIRouter(prefix="/api/v1/pairs")

    @routes.get("")
    async def listed(query: Annotated[PairQuery, Query()]) -> dict[str, Any]:
        wanted = PairFilter(query.state, query.image_id)
        after = None if query.after is None else Place.read(query.after)
        found, following = await database.read(lambda c: pairs(c, wanted, query.limit, after))
        return {"pairs": found, "next": None if following is None else str(following)}

    return routes
