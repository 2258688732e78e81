"""Static files and thumbnails."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Request
from starlette.responses import Response

from contracts.values import ObjectRef
from services.reporter.store.library import thumbnail
from services.reporter.web.assets import Assets
from services.runtime.database import Database
from services.runtime.objectstore import ObjectDamaged, ObjectMissing, ObjectStore

FOR_EVER = "public, max-age=31536000, immutable"
LIBRARY = "library"
WEBP_HEAD = (b"RIFF", b"WEBP")


def file_routes(database: Database, store: ObjectStore, assets: Assets) -> APIRouter:
    """``/static`` and ``/thumbnails``; both addresses change with their content."""
    router = APIRouter(include_in_schema=False)

    @router.get("/static/{name}")
    async def static(name: str) -> Response:
        asset = assets.get(name)
        if asset is None:
            raise HTTPException(404, f"there is no file {name[:80]!r}")
        return Response(asset.data, media_type=asset.media_type, headers={"Cache-Control": FOR_EVER})

    @router.get("/thumbnails/{image_id}")
    async def image(image_id: Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")], request: Request) -> Response:
        ref = await database.read(lambda connection: thumbnail(connection, image_id))
        if ref is None or ref.bucket != LIBRARY:
            raise HTTPException(404, f"no image {image_id} in the library")
        headers = {"Cache-Control": FOR_EVER, "ETag": f'"{ref.sha256}"'}
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return Response(await _webp(store, ref), media_type="image/webp", headers=headers)

    return router


async def _webp(store: ObjectStore, ref: ObjectRef) -> bytes:
    try:
        data = await asyncio.to_thread(store.get, ref)
    except ObjectMissing as error:
        # Ingest stored it before it said so: a missing thumbnail is a fault to look at, not a 404.
        raise HTTPException(503, f"the object store lost a thumbnail: {error}") from error
    except ObjectDamaged as error:
        raise HTTPException(502, f"the thumbnail is damaged: {error}") from error
    if (data[:4], data[8:12]) != WEBP_HEAD:
        raise HTTPException(502, f"{ref.bucket}/{ref.key} is no WebP")
    return data
