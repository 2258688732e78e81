"""``/models``: every scored model with its verdict, and its report; comparisons of two."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Request
from starlette.responses import HTMLResponse, Response

from contracts.values import ObjectRef
from services.reporter.domain.comparing import comparison_sentences
from services.reporter.store import models, reports
from services.reporter.web.owners import Fault
from services.reporter.web.rendering import Templates
from services.reporter.web.security import REPORT_POLICY
from services.reporter.web.sessions import signed_in
from services.runtime.database import Database
from services.runtime.objectstore import ObjectDamaged, ObjectMissing, ObjectStore

COMPARISONS_SHOWN = 30
Version = Annotated[str, Path(pattern=r"^[0-9]{3,9}$")]
RequestId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{4,64}$")]
"""As contracts/commands.py has it; anything else may be what a database cannot even look up."""


def model_routes(database: Database, store: ObjectStore, templates: Templates) -> APIRouter:
    """For everybody who may see the overview: it has the same figures."""
    router = APIRouter(include_in_schema=False)

    @router.get("/models")
    async def page(request: Request) -> Response:
        listed = await database.read(models.model_list)
        with_page = await database.read(reports.pages)
        compared = await database.read(lambda c: reports.comparisons(c, COMPARISONS_SHOWN))
        scored = [one for one in reversed(listed) if one["scored_at"]]
        shown = templates.render(
            "models/page.html", here="/models", person=signed_in(request), models=scored,
            waiting=len(listed) - len(scored), with_page=with_page,
            comparisons=[one | {"sentences": comparison_sentences(one)} for one in compared],
        )  # fmt: skip
        return HTMLResponse(shown)

    @router.get("/models/{version}/reports/{request_id}")
    async def report(version: Version, request_id: RequestId) -> Response:
        ref = await database.read(lambda c: reports.page_of(c, version, request_id))
        if ref is None:
            raise Fault(
                404,
                f"This scoring of model {version} has no report page: it was made before there were any. "
                f"`menagerie evaluate {version}` makes one.",
            )
        return HTMLResponse(await _content(store, ref), headers={"Content-Security-Policy": REPORT_POLICY})

    @router.get("/comparisons/{request_id}/summary")
    async def summary(request_id: RequestId) -> Response:
        ref = await database.read(lambda c: reports.summary_of(c, request_id))
        if ref is None:
            raise HTTPException(404, "no such comparison is known here (events may still be on their way)")
        saved = 'attachment; filename="comparison.json"'
        data = await _content(store, ref)
        return Response(data, media_type="application/json", headers={"Content-Disposition": saved})

    return router


async def _content(store: ObjectStore, ref: ObjectRef) -> bytes:
    try:
        return await asyncio.to_thread(store.get, ref)
    except (ObjectMissing, ObjectDamaged) as error:
        raise Fault(
            503, f"The report cannot be read from the store ({error}); scoring again makes another."
        ) from error
