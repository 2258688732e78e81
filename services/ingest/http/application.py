"""Ingest's HTTP side: uploads, the library as it is, and what people ask of it."""

from __future__ import annotations

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from services.ingest.domain.faults import ActionRefused, ImageNotYetKnown
from services.ingest.http import (
    actions,
    benchmarks,
    classes,
    library,
    snapshots,
    taxonomy,
    upload_states,
    uploads,
)
from services.ingest.reception.multipart import UploadRefused
from services.ingest.reception.posted import Reception
from services.ingest.settings import IngestSettings
from services.runtime.database import Database
from services.runtime.objectstore import ObjectStore
from services.runtime.web.bearer import token_required
from services.runtime.web.readable import shown
from services.runtime.web.refusals import answer_refusals


def create_http(
    reception: Reception, database: Database, settings: IngestSettings, store: ObjectStore
) -> FastAPI:
    """The application; every route wants the token."""
    app = FastAPI(
        title="Menagerie ingest",
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(token_required(settings.api_token))],
    )
    app.include_router(uploads.router(reception, settings))
    app.include_router(upload_states.router(database))
    app.include_router(actions.router(database))
    app.include_router(benchmarks.router(database))
    app.include_router(taxonomy.router(database))
    app.include_router(classes.router(database, store))
    app.include_router(snapshots.router(database))
    app.include_router(library.router(database, store, settings))

    answer_refusals(app, UploadRefused, ActionRefused)

    @app.exception_handler(RequestValidationError)
    async def correct(_request: Request, invalid: RequestValidationError) -> JSONResponse:
        return JSONResponse({"detail": shown(invalid.errors())}, 422)

    @app.exception_handler(ImageNotYetKnown)
    async def postpone(_request: Request, fault: ImageNotYetKnown) -> JSONResponse:
        return JSONResponse({"detail": str(fault)}, 409, {"Retry-After": "1"})

    return app
