"""HTTP upload: ``POST /api/v1/images`` (docs/architecture.md, HTTP)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect

from contracts.message import UtcDatetime
from contracts.values import FileName, Label, PersonName, Source, UploadId
from services.ingest.http.readable import readable
from services.ingest.reception.multipart import UploadForm, UploadLimits, UploadRefused
from services.ingest.reception.posted import Arrival, Received, Reception
from services.ingest.settings import IngestSettings

UPLOADS = "uploads"


def _blank_is_none(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


class UploadMeta(BaseModel):
    """What the uploader says of one file; only ``upload_id`` is needed."""

    model_config = ConfigDict(extra="forbid")

    upload_id: UploadId
    file_name: FileName | None = None
    label: Annotated[Label | None, BeforeValidator(_blank_is_none)] = None
    source: Source = Source.REAL
    guest: Annotated[str, Field(max_length=200)] | None = None
    taken_at: UtcDatetime | None = None
    benchmark: Annotated[str, Field(max_length=100)] | None = None
    uploaded_by: PersonName = "upload"


METAS = TypeAdapter(list[UploadMeta])


class Answer(BaseModel):
    """202: the files are kept; their outcome comes as an event."""

    received: tuple[Received, ...]


def router(reception: Reception, settings: IngestSettings) -> APIRouter:
    """The routes that take uploads."""
    routes = APIRouter()
    limits = UploadLimits(settings.max_request_files, settings.max_file_bytes, settings.max_request_bytes)

    @routes.post("/api/v1/images", status_code=202)
    async def upload(request: Request) -> Answer:
        form = await _read(request, limits, settings)
        try:
            arrivals = _arrivals(form)
            return Answer(received=await reception.receive(arrivals))
        finally:
            await asyncio.to_thread(form.close)

    return routes


async def _read(request: Request, limits: UploadLimits, settings: IngestSettings) -> UploadForm:
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limits.request_bytes:
        raise UploadRefused(413, f"the request is larger than {limits.request_bytes} bytes; split it")
    form = UploadForm(request.headers.get("content-type", ""), limits, settings.work_dir / UPLOADS)
    try:
        async for chunk in request.stream():
            await asyncio.to_thread(form.feed, chunk)
        form.finish()
    except ClientDisconnect as error:
        await asyncio.to_thread(form.close)
        raise UploadRefused(400, "the connection was closed before the end of the body") from error
    except BaseException:
        await asyncio.to_thread(form.close)
        raise
    return form


def _arrivals(form: UploadForm) -> Sequence[Arrival]:
    try:
        metas = METAS.validate_json(bytes(form.meta))
    except ValidationError as error:
        raise UploadRefused(422, f"field 'meta': {readable(error)}") from error
    if not form.files:
        raise UploadRefused(422, "the request carries no 'files'; add at least one")
    if len(metas) != len(form.files):
        raise UploadRefused(
            422, f"'meta' has {len(metas)} entries for {len(form.files)} files; send one each"
        )
    if len({meta.upload_id for meta in metas}) != len(metas):
        raise UploadRefused(422, "an upload_id occurs twice in 'meta'; make one per file")
    return [
        Arrival(
            file,
            file.file_name[:1024] if meta.file_name is None else meta.file_name,
            **meta.model_dump(exclude={"file_name"}),
        )
        for meta, file in zip(metas, form.files, strict=True)
    ]
