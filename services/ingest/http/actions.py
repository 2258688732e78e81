"""Every command of the library as ``POST /api/v1/commands/<name>``: the body is the message's."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from pydantic import TypeAdapter, ValidationError
from sqlalchemy.exc import IntegrityError

from contracts.message import Message
from services.ingest.actions.perform import ACTIONS, Outcome, perform
from services.ingest.domain.faults import ActionRefused
from services.ingest.http.body import whole_body
from services.ingest.http.readable import readable
from services.runtime.database import Database

BODY: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])
MAX_BODY_BYTES = 2**20
"""Ten times the largest command: 1,000 image ids and a reason."""
BY_NAME = {kind.name: kind for kind in ACTIONS}


def router(database: Database) -> APIRouter:
    """Commands; done when answered, unlike a command that travels as a message."""
    routes = APIRouter(prefix="/api/v1/commands")

    @routes.post("/{name}")
    async def act(name: str, request: Request) -> dict[str, Any]:
        command = _command(name, await whole_body(request, MAX_BODY_BYTES, "command"))
        return {"request_id": getattr(command, "request_id"), **await _outcome(database, command)}  # noqa: B009

    return routes


async def _outcome(database: Database, command: Message) -> Outcome:
    at = datetime.now(UTC)
    try:
        return await database.run(lambda unit: perform(unit, command, at))
    except IntegrityError:
        # Another replica did the same request at the same moment: its outcome is told again.
        return await database.run(lambda unit: perform(unit, command, at))


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
