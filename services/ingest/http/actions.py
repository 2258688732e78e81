"""Every command of the library as ``POST /api/v1/commands/<name>``: the body is the message's."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from pydantic import TypeAdapter, ValidationError

from contracts.message import Message
from services.ingest.actions.perform import ACTIONS, perform
from services.ingest.domain.faults import ActionRefused
from services.ingest.http.readable import readable
from services.runtime.database import Database

BODY: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])
BY_NAME = {kind.name: kind for kind in ACTIONS}


def router(database: Database) -> APIRouter:
    """Commands; done when answered, unlike a command that travels as a message."""
    routes = APIRouter(prefix="/api/v1/commands")

    @routes.post("/{name}")
    async def act(name: str, request: Request) -> dict[str, Any]:
        command = _command(name, await request.body())
        at = datetime.now(UTC)
        outcome = await database.run(lambda unit: perform(unit, command, at))
        return {"request_id": getattr(command, "request_id"), **outcome}  # noqa: B009

    return routes


def _command(name: str, body: bytes) -> Message:
    kind = BY_NAME.get(name)
    if kind is None:
        raise ActionRefused(404, f"no command {name[:80]!r}; there are {', '.join(sorted(BY_NAME))}")
    try:
        fields = BODY.validate_json(body)
        defaults = {"request_id": secrets.token_hex(16), "requested_at": datetime.now(UTC)}
        return kind.model_validate({**defaults, **fields})
    except ValidationError as error:
        raise ActionRefused(422, f"{name}: {readable(error)}") from error
