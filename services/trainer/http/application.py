"""The trainer's HTTP application: what its data sets hold, and why."""

from __future__ import annotations

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import SecretStr

from services.runtime.database import Database
from services.runtime.objectstore import ObjectStore
from services.runtime.web.bearer import token_required
from services.runtime.web.readable import shown
from services.runtime.web.refusals import answer_refusals
from services.trainer.http import datasets
from services.trainer.http.opening import Opener


def create_http(database: Database, store: ObjectStore, api_token: SecretStr) -> FastAPI:
    """The application; every route wants the token, and only reads."""
    app = FastAPI(
        title="Menagerie trainer",
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(token_required(api_token))],
    )
    app.include_router(datasets.router(Opener(database, store)))
    answer_refusals(app)

    @app.exception_handler(RequestValidationError)
    async def correct(_request: Request, invalid: RequestValidationError) -> JSONResponse:
        return JSONResponse({"detail": shown(invalid.errors())}, 422)

    return app
