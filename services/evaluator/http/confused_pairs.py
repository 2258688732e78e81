"""``GET /api/v1/confused-pairs``: classes that are hard to tell apart, by version of the table."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from services.evaluator.review.confusions import changes, confused_pairs
from services.evaluator.review.queues import aware
from services.runtime.database import Database

CHANGES = 100


class PairsQuery(BaseModel):
    """Parameters; a misspelt one is refused, not ignored."""

    model_config = ConfigDict(extra="forbid")

    version: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None


def router(database: Database) -> APIRouter:
    """Reading only."""
    routes = APIRouter(prefix="/api/v1/confused-pairs")

    @routes.get("")
    async def table(query: Annotated[PairsQuery, Query()]) -> dict[str, Any]:
        found = await database.read(lambda c: confused_pairs(c, query.version))
        return {"version": found.version, "pairs": [asdict(pair) for pair in found.pairs]}

    @routes.get("/changes")
    async def changed() -> dict[str, Any]:
        rows = await database.read(lambda c: changes(c, CHANGES))
        return {"changes": [row | {"changed_at": aware(row["changed_at"])} for row in rows]}

    return routes
