"""HTTP upload: batches, single files and presigned uploads (docs/architecture.md, HTTP)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import ClientDisconnect

from services.ingest.reception.meta import UploadMeta
from services.ingest.reception.multipart import META_BYTES, UploadForm, UploadLimits, UploadRefused
from services.ingest.reception.naming import new_upload_id
from services.ingest.reception.posted import Arrival, Received, Reception
from services.ingest.reception.presigned import Presigned, Promised
from services.ingest.reception.spool import FOLDER, FileTooLarge, SpooledFile
from services.ingest.settings import IngestSettings
from services.runtime.web.body import whole_body
from services.runtime.web.readable import readable

METAS = TypeAdapter(list[UploadMeta])


class AnyName(Convertor[str]):
    """Whatever stands there, a line break too, which Starlette's own ``path`` does not match."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        """As it is."""
        return value

    def to_string(self, value: str) -> str:
        """As it is."""
        return value


class Answer(BaseModel):
    """202: the files are kept; their outcome comes as an event."""

    received: tuple[Received, ...]


class Wanted(BaseModel):
    """Files that are to be PUT to the object store."""

    model_config = ConfigDict(extra="forbid")

    files: list[UploadMeta]


class Promises(BaseModel):
    """201: where to PUT them."""

    uploads: tuple[Promised, ...]


def router(reception: Reception, settings: IngestSettings) -> APIRouter:
    """The routes that take uploads."""
    register_url_convertor("any_name", AnyName())
    routes = APIRouter(prefix="/api/v1")
    limits = UploadLimits(settings.max_request_files, settings.max_file_bytes, settings.max_request_bytes)
    presigned = Presigned(reception, settings)

    @routes.post("/images", status_code=202)
    async def upload(request: Request) -> Answer:
        form = await _read(request, limits, settings)
        try:
            arrivals = _arrivals(form)
            return Answer(received=await reception.receive(arrivals))
        finally:
            await asyncio.to_thread(form.close)

    @routes.put("/images/{file_name:any_name}", status_code=202)
    async def put(file_name: str, request: Request) -> Received:
        meta = _queried(request)
        file = SpooledFile(file_name[:1024], limits.file_bytes, settings.work_dir / FOLDER)
        try:
            await _spool(request, file)
            [received] = await reception.receive([Arrival(file, file.file_name, meta)])
        finally:
            await asyncio.to_thread(file.close)
        return received

    @routes.post("/uploads", status_code=201)
    async def promise(request: Request) -> Promises:
        try:
            wanted = Wanted.model_validate_json(await whole_body(request, META_BYTES, "request"))
        except ValidationError as error:
            raise UploadRefused(422, readable(error)) from error
        _check(wanted.files, limits)
        return Promises(uploads=await presigned.promise(wanted.files))

    @routes.post("/uploads/{upload_id}/confirm", status_code=202)
    async def confirm(upload_id: str) -> Received:
        return await presigned.confirm(upload_id.replace("\0", ""))  # which PostgreSQL cannot look for

    return routes


async def _read(request: Request, limits: UploadLimits, settings: IngestSettings) -> UploadForm:
    if _declared(request) > limits.request_bytes:
        raise UploadRefused(413, f"the request is larger than {limits.request_bytes} bytes; split it")
    form = UploadForm(request.headers.get("content-type", ""), limits, settings.work_dir / FOLDER)
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


async def _spool(request: Request, file: SpooledFile) -> None:
    """The whole body into ``file``."""
    try:
        if _declared(request) > file.limit_bytes:
            file.refuse()
        async for chunk in request.stream():
            await asyncio.to_thread(file.feed, chunk)
        await asyncio.to_thread(file.finish)
    except FileTooLarge as error:
        raise UploadRefused(413, str(error)) from error
    except ClientDisconnect as error:
        raise UploadRefused(400, "the connection was closed before the end of the body") from error


def _declared(request: Request) -> int:
    declared = request.headers.get("content-length", "0")
    return int(declared) if declared.isdecimal() else 0


def _queried(request: Request) -> UploadMeta:
    """What the query says of the file; without an ``upload_id`` each request is an upload of its own."""
    given: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        if name == "tag":
            given.setdefault("tags", []).append(value)
        elif name in given or name in {"tags", "file_name"}:
            raise UploadRefused(422, f"query: {name} may not be given here or twice; repeat 'tag' for tags")
        else:
            given[name] = value
    given.setdefault("upload_id", new_upload_id(datetime.now(UTC)))
    try:
        return UploadMeta.model_validate(given)
    except ValidationError as error:
        raise UploadRefused(422, f"query: {readable(error)}") from error


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
    _once(metas)
    return [
        Arrival(file, file.file_name if meta.file_name is None else meta.file_name, meta)
        for meta, file in zip(metas, form.files, strict=True)
    ]


def _check(metas: Sequence[UploadMeta], limits: UploadLimits) -> None:
    if not metas:
        raise UploadRefused(422, "'files' is empty; name at least one")
    if len(metas) > limits.files:
        raise UploadRefused(413, f"a request asks for at most {limits.files} files; split it")
    _once(metas)


def _once(metas: Sequence[UploadMeta]) -> None:
    if len({meta.upload_id for meta in metas}) != len(metas):
        raise UploadRefused(422, "an upload_id occurs twice; make one per file")
