"""What became of uploads: ``GET /api/v1/uploads``."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contracts.values import UploadId
from services.ingest.reception.multipart import UploadRefused
from services.ingest.store.upload_states import UploadFilter, UploadState, upload_states
from services.runtime.database import Database
from services.runtime.web.readable import readable


class Question(BaseModel):
    """The query of a listing; at most 1,000 ids or uploads at once."""

    model_config = ConfigDict(extra="forbid")

    upload_id: Annotated[list[UploadId] | None, Field(max_length=1000)] = None
    upstream_id: str | None = None
    state: UploadState | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    after: str | None = None


def router(database: Database) -> APIRouter:
    """Reading only."""
    routes = APIRouter(prefix="/api/v1/uploads")

    @routes.get("")
    async def listed(request: Request) -> dict[str, Any]:
        asked = _question(request)
        wanted = UploadFilter(asked.upload_id, asked.upstream_id, asked.state)
        found, after = await database.read(
            lambda connection: upload_states(connection, wanted, asked.limit, asked.after)
        )
        return {"uploads": found, "next": after}

    @routes.get("/{upload_id}")
    async def one(upload_id: str) -> dict[str, Any]:
        wanted = UploadFilter([upload_id.replace("\0", "")])
        found, _ = await database.read(lambda connection: upload_states(connection, wanted, 1, None))
        if not found:
            raise UploadRefused(404, f"no upload {upload_id[:80]!r}; it was never received, or has expired")
        return found[0]

    return routes


def _question(request: Request) -> Question:
    given: dict[str, Any] = {name: value for name, value in request.query_params.items() if value}
    if ids := request.query_params.getlist("upload_id"):
        given["upload_id"] = ids
    try:
        return Question.model_validate({name: _text(value) for name, value in given.items()})
    except ValidationError as error:
        raise UploadRefused(422, f"query: {readable(error)}") from error


def _text(value: Any) -> Any:
    # PostgreSQL's text knows no NUL, so that nothing can be found by one.
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value
