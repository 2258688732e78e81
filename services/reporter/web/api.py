"""JSON for programs: the ``menagerie`` command, tests, other systems."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query, Request
from pydantic import SecretStr
from starlette.responses import StreamingResponse

from services.reporter.rebuild import Rebuild, RebuildRunning
from services.reporter.store import bulk, library, models
from services.reporter.store.library import ImageFilter
from services.reporter.store.reading import PAGE_ROWS, PAGE_ROWS_MOST
from services.reporter.store.variants import variants
from services.reporter.web.security import require_token
from services.runtime.database import Database

Limit = Annotated[int, Query(ge=1, le=PAGE_ROWS_MOST)]
After = Annotated[str | None, Query(max_length=4000)]
Text = Annotated[str | None, Query(max_length=1024)]
Verdict = Literal["unique", "near", "burst"]
UploadState = Literal["waiting", "accepted", "repeated", "rejected"]
Body = dict[str, Any]


def api_routes(database: Database, rebuild: Rebuild, token: SecretStr) -> APIRouter:
    """Everything under ``/api/v1``."""
    router = APIRouter(prefix="/api/v1")
    _library_routes(router, database)
    _model_routes(router, database)
    _bulk_routes(router, database)

    @router.post("/rebuild")
    async def rebuilding(request: Request) -> StreamingResponse:
        """NDJSON: progress lines, then the comparison table by table."""
        require_token(token, request)
        try:
            lines = rebuild.start()
        except RebuildRunning as error:
            raise HTTPException(409, str(error)) from error
        return StreamingResponse(_ndjson(lines), media_type="application/x-ndjson")

    return router


def _library_routes(router: APIRouter, database: Database) -> None:
    @router.get("/summary")
    async def summary() -> Body:
        return await database.read(bulk.summary)

    @router.get("/images")
    async def images(
        label: Text = None,
        unlabelled: bool | None = None,
        verdict: Verdict | None = None,
        source: Text = None,
        benchmark: Text = None,
        file: Text = None,
        limit: Limit = PAGE_ROWS,
        after: After = None,
    ) -> Body:
        wanted = ImageFilter(label, unlabelled, verdict, source, benchmark, file)
        found, following = await database.read(lambda c: library.images(c, wanted, limit, after))
        return {"images": found, "next": following}

    @router.get("/uploads")
    async def uploads(
        state: UploadState | None = None, limit: Limit = PAGE_ROWS, after: After = None
    ) -> Body:
        found, following = await database.read(lambda c: library.uploads(c, state, limit, after))
        return {"uploads": found, "next": following}

    @router.get("/classes")
    async def classes() -> Body:
        return {"classes": await database.read(library.classes)}


def _model_routes(router: APIRouter, database: Database) -> None:
    @router.get("/snapshots")
    async def snapshots() -> Body:
        return {"snapshots": await database.read(models.snapshots)}

    @router.get("/models")
    async def model_list() -> Body:
        return {"models": await database.read(models.model_list)}

    @router.get("/models/{version}/variants")
    async def model_variants(version: str) -> Body:
        return {"variants": await database.read(lambda c: variants(c, version))}

    @router.get("/runs/{run_id}")
    async def run(run_id: str) -> Body:
        return _found(await database.read(lambda c: models.run(c, run_id)), "training run", run_id)


def _bulk_routes(router: APIRouter, database: Database) -> None:
    @router.get("/identifications")
    async def identifications(
        model_version: Text = None, run_id: Text = None, limit: Limit = PAGE_ROWS, after: After = None
    ) -> Body:
        found, following = await database.read(
            lambda c: bulk.identifications(c, model_version, run_id, limit, after)
        )
        return {"identifications": found, "next": following}

    @router.get("/bulk-runs/{run_id}")
    async def bulk_run(run_id: str) -> Body:
        return _found(await database.read(lambda c: bulk.bulk_run(c, run_id)), "bulk run", run_id)

    @router.get("/dead-letters")
    async def dead_letters(limit: Limit = PAGE_ROWS, after: After = None) -> Body:
        found, following = await database.read(lambda c: bulk.dead_letters(c, limit, after))
        return {"dead_letters": found, "next": following}

    @router.get("/dead-letters/{dead_letter_id}")
    async def dead_letter(dead_letter_id: str) -> Body:
        found = await database.read(lambda c: bulk.dead_letter(c, dead_letter_id))
        return _found(found, "dead letter", dead_letter_id)


def _found(row: Body | None, what: str, name: str) -> Body:
    if row is None:
        raise HTTPException(404, f"no {what} {name[:80]!r} is known here (events may still be on their way)")
    return row


async def _ndjson(lines: AsyncIterator[Body]) -> AsyncIterator[bytes]:
    async for line in lines:
        yield json.dumps(line).encode() + b"\n"
