"""Searches as JSON, and the files of their reports."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Path, Query
from starlette.responses import Response

from services.reporter.store import searches
from services.reporter.store.reading import PAGE_ROWS, PAGE_ROWS_MOST
from services.runtime.database import Database
from services.runtime.objectstore import ObjectDamaged, ObjectMissing, ObjectStore

SearchId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{4,64}$")]
TYPES = {"report": ("report.json", "application/json"), "page": ("page.html", "text/html; charset=utf-8")}


def search_routes(database: Database, store: ObjectStore) -> APIRouter:
    """``/api/v1/searches``."""
    router = APIRouter(prefix="/api/v1/searches")

    @router.get("")
    async def listed(limit: Annotated[int, Query(ge=1, le=PAGE_ROWS_MOST)] = PAGE_ROWS) -> dict[str, Any]:
        return {"searches": await database.read(lambda c: searches.searches(c, limit))}

    @router.get("/{search_id}")
    async def one(search_id: SearchId) -> dict[str, Any]:
        found = await database.read(lambda c: searches.search(c, search_id))
        if found is None:
            raise HTTPException(
                404, f"no search {search_id!r} is known here (events may still be on their way)"
            )
        return found

    @router.get("/{search_id}/{name}")
    async def file(search_id: SearchId, name: Literal["report", "page"]) -> Response:
        """To be saved: under this server's own policy the page's pictures would stay hidden."""
        ref = await database.read(lambda c: searches.file_of(c, search_id, name))
        if ref is None:
            raise HTTPException(404, f"search {search_id!r} has no report (yet)")
        try:
            data = await asyncio.to_thread(store.get, ref)
        except (ObjectMissing, ObjectDamaged) as error:
            raise HTTPException(503, f"the report cannot be read: {error}") from error
        file_name, media_type = TYPES[name]
        saved = f'attachment; filename="search-{search_id}-{file_name}"'
        return Response(data, media_type=media_type, headers={"Content-Disposition": saved})

    return router
