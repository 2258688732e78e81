"""Every command of the library as ``POST /api/v1/commands/<name>``: the body is the message's."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from services.ingest.actions.perform import ACTIONS, perform
from services.runtime.database import Database
from services.runtime.web.commands import Commands


def router(database: Database) -> APIRouter:
    """Commands; done when answered, unlike a command that travels as a message."""
    routes = APIRouter(prefix="/api/v1/commands")
    commands = Commands(database, ACTIONS, perform)

    @routes.post("/{name}")
    async def act(name: str, request: Request) -> dict[str, Any]:
        return await commands.obey(name, request)

    return routes
