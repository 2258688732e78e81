"""Dedup's HTTP side: pairs, images with their groups, thresholds, and what people decide."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import SecretStr

from contracts.message import Message
from services.dedup.domain.alike import Limits
from services.dedup.domain.faults import ActionRefused
from services.dedup.http import images, pairs, thresholds
from services.runtime.database import Database, Unit
from services.runtime.web.bearer import token_required
from services.runtime.web.commands import Action, Commands, Outcome
from services.runtime.web.readable import shown
from services.runtime.web.refusals import answer_refusals


def create_http(
    database: Database, api_token: SecretStr, limits: Limits, actions: Mapping[type[Message], Action]
) -> FastAPI:
    """The application; every route wants the token. ``actions`` do the commands, each by its type."""
    app = FastAPI(
        title="Menagerie dedup",
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(token_required(api_token))],
    )
    app.include_router(pairs.router(database))
    app.include_router(images.router(database))
    app.include_router(thresholds.router(database, limits))
    app.include_router(_commands(database, actions))
    answer_refusals(app, ActionRefused)

    @app.exception_handler(RequestValidationError)
    async def correct(_request: Request, invalid: RequestValidationError) -> JSONResponse:
        return JSONResponse({"detail": shown(invalid.errors())}, 422)

    return app


def _commands(database: Database, actions: Mapping[type[Message], Action]) -> APIRouter:
    routes = APIRouter(prefix="/api/v1/commands")

    def perform(unit: Unit, command: Message, at: datetime) -> Outcome:
        return actions[type(command)](unit, command, at)

    commands = Commands(database, actions, perform)

    @routes.post("/{name}")
    async def act(name: str, request: Request) -> dict[str, Any]:
        return await commands.obey(name, request)

    return routes
