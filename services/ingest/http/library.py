"""The library as it is: lists of images, everything about one, and its bytes (docs/architecture.md, HTTP)."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal

import sqlalchemy as sa
from fastapi import APIRouter, HTTPException, Query, Request
from fastapi import Path as PathParameter
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from contracts.values import (
    BenchmarkName,
    DuplicateVerdict,
    Guest,
    ImageId,
    Label,
    LabelKind,
    ObjectRef,
    QualityFlag,
    Source,
    Tag,
    UpstreamId,
    Visit,
)
from services.ingest.reception.spool import FOLDER
from services.ingest.settings import IngestSettings
from services.ingest.store.biography import biography
from services.ingest.store.descriptions import describe, stored_object
from services.ingest.store.listing import ImageFilter, matching
from services.runtime.database import Database
from services.runtime.objectstore import ObjectDamaged, ObjectMissing, ObjectStore

PAGE_IMAGES = 100
PAGE_IMAGES_MOST = 1000
CHUNK_BYTES = 256 * 1024

ORIGINAL_TYPES = {
    "AVIF": "image/avif", "BMP": "image/bmp", "GIF": "image/gif", "HEIF": "image/heic", "JPEG": "image/jpeg",
    "PNG": "image/png", "TIFF": "image/tiff", "WEBP": "image/webp",
}  # fmt: skip
"""By the format in which the decoder read it; the uploader's own words are not believed."""
Rendition = Literal["original", "normalised", "thumbnail"]
Id = Annotated[ImageId, PathParameter()]


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("a NUL character is in no text of the library; leave it out")
    return text


NoNul = AfterValidator(_no_nul)
Part = Annotated[str, StringConstraints(min_length=1, max_length=1024)]


class ImageQuery(BaseModel):
    """Parameters of the list; a misspelt one is refused, not ignored."""

    model_config = ConfigDict(extra="forbid")

    label: Annotated[Label, NoNul] | None = None
    class_name: Annotated[Annotated[Label, NoNul] | None, Field(alias="class")] = None
    kind: LabelKind | None = None
    unlabelled: bool | None = None
    flag: Annotated[list[QualityFlag], Field(max_length=len(QualityFlag))] = []
    source: Source | None = None
    guest: Annotated[Guest, NoNul] | None = None
    visit: Annotated[Visit, NoNul] | None = None
    tag: Annotated[Tag, NoNul] | None = None
    benchmark: Annotated[BenchmarkName, NoNul] | None = None
    verdict: DuplicateVerdict | None = None
    double_check: bool | None = None
    disagreement: bool | None = None
    file: Annotated[Part, NoNul] | None = None
    upstream_id: Annotated[UpstreamId, NoNul] | None = None
    limit: Annotated[int, Field(ge=1, le=PAGE_IMAGES_MOST)] = PAGE_IMAGES
    after: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{1,64}$")] | None = None
    """The ``next`` of the page before; any beginning of an id will do."""

    def filter(self) -> ImageFilter:
        """As the store takes it; a flag that is named twice counts once."""
        named = self.model_dump(exclude={"flag", "limit", "after"})
        return ImageFilter(flags=tuple(dict.fromkeys(self.flag)), **named)


def router(database: Database, store: ObjectStore, settings: IngestSettings) -> APIRouter:
    """Reads; each sees what was committed when it was asked."""
    routes = APIRouter(prefix="/api/v1/images")
    folder = settings.work_dir / FOLDER

    @routes.get("")
    async def images(query: Annotated[ImageQuery, Query()]) -> Response:
        wanted = query.filter()
        found, following = await database.read(lambda c: _page(c, wanted, query.limit, query.after))
        return JSONResponse({"images": found, "next": following})

    @routes.get("/{image_id}")
    async def one(image_id: Id) -> Response:
        found = await database.read(lambda c: biography(c, image_id))
        if found is None:
            raise _unknown(image_id)
        return JSONResponse(found)

    @routes.get("/{image_id}/{rendition}")
    async def content(image_id: Id, rendition: Rendition, request: Request) -> Response:
        found = await database.read(lambda c: stored_object(c, image_id, rendition))
        if found is None:
            raise _unknown(image_id)
        ref, image_format = found
        headers = _headers(image_id, rendition, ref, image_format)
        if _is_known(request.headers.get("if-none-match", ""), headers["ETag"]):
            return Response(status_code=304, headers={"ETag": headers["ETag"]})
        try:
            file = await asyncio.to_thread(_fetched, store, ref, folder)
        except ObjectMissing as error:
            raise _lost(image_id, rendition) from error
        except ObjectDamaged as error:
            raise HTTPException(502, f"the {rendition} of image {image_id} is damaged: {error}") from error
        return StreamingResponse(_chunks(file), headers=headers)

    return routes


def _page(
    connection: sa.Connection, wanted: ImageFilter, limit: int, after: str | None
) -> tuple[list[dict[str, Any]], ImageId | None]:
    ids, following = matching(connection, wanted, limit, after)
    return describe(connection, ids), following


def _headers(
    image_id: ImageId, rendition: Rendition, ref: ObjectRef, image_format: str | None
) -> dict[str, str]:
    kind = {"normalised": "image/png", "thumbnail": "image/webp"}.get(rendition)
    kind = kind or ORIGINAL_TYPES.get(image_format or "", "application/octet-stream")
    ending = kind.removeprefix("image/") if kind.startswith("image/") else "bin"
    return {
        "Content-Type": kind,
        "Content-Length": str(ref.size),
        # The uploader's name for it could be anything, so the id is its name here.
        "Content-Disposition": f'attachment; filename="{image_id}-{rendition}.{ending}"',
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-cache",
        "ETag": f'"{ref.sha256}"',
    }


def _is_known(if_none_match: str, etag: str) -> bool:
    offered = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return bool(offered & {etag, "*"})


def _fetched(store: ObjectStore, ref: ObjectRef, folder: Path) -> BinaryIO:
    """The object on disk, verified before its first byte leaves, and gone when the file is closed."""
    path = folder / f"download-{secrets.token_hex(8)}"
    store.get_file(ref, path)
    file = path.open("rb")
    path.unlink()
    return file


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _unknown(image_id: ImageId) -> HTTPException:
    return HTTPException(404, f"no image {image_id} in the library; `menagerie images` lists those it has")


def _lost(image_id: ImageId, rendition: Rendition) -> HTTPException:
    if rendition == "original":
        return HTTPException(
            404, f"the original of image {image_id} was not kept; its normalised picture is there"
        )
    return HTTPException(503, f"the object store has lost the {rendition} of image {image_id}; restore it")
