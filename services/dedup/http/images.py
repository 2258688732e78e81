"""``GET /api/v1/images/{image_id}``: the verdict on an image, its group and its pairs."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path

from contracts.values import ImageId
from services.dedup.domain.faults import ActionRefused
from services.dedup.store.listing import image_with_group
from services.runtime.database import Database


def router(database: Database) -> APIRouter:
    """Reading only."""
    routes = APIRouter(prefix="/api/v1/images")

    @routes.get("/{image_id}")
    async def one(image_id: Annotated[ImageId, Path()]) -> dict[str, Any]:
        found = await database.read(lambda connection: image_with_group(connection, image_id))
        if found is None:
            raise ActionRefused(404, f"no image {image_id} here; dedup hears of it when it is accepted")
        return found

    return routes
