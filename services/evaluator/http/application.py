"""The evaluator's HTTP application: the double-check queue, its rounds, and the confused pairs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import SecretStr

from contracts.commands import RequestReview, SetConfused
from services.evaluator.domain.faults import ActionRefused
from services.evaluator.http import confused_pairs, queue, rounds
from services.evaluator.review.acting import perform
from services.evaluator.review.reading import Queues
from services.runtime.database import Database
from services.runtime.web.bearer import token_required
from services.runtime.web.commands import Commands
from services.runtime.web.readable import shown
from services.runtime.web.refusals import answer_refusals

COMMANDS = (SetConfused, RequestReview)


def create_http(
    database: Database, queues: Queues, api_token: SecretStr, further: Iterable[APIRouter] = ()
) -> FastAPI:
    """The application; every route wants the token. ``further`` routes stand behind it too."""
    app = FastAPI(
        title="Menagerie evaluator",
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(token_required(api_token))],
    )
    for routes in (
        queue.router(database, queues), rounds.router(database), confused_pairs.router(database),
        _commands(database), *further,
    ):  # fmt: skip
        app.include_router(routes)
    answer_refusals(app, ActionRefused)

    @app.exception_handler(RequestValidationError)
    async def correct(_request: Request, invalid: RequestValidationError) -> JSONResponse:
        return JSONResponse({"detail": shown(invalid.errors())}, 422)

    return app


def _commands(database: Database) -> APIRouter:
    routes = APIRouter(prefix="/api/v1/commands")
    commands = Commands(database, COMMANDS, perform)

    @routes.post("/{name}")
    async def act(name: str, request: Request) -> dict[str, Any]:
        return await commands.obey(name, request)

    return routes
