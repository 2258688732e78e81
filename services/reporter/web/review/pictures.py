"""Pictures to look at closely, and what a model looked at in them; for people who have signed in."""

from __future__ import annotations

from typing import Annotated, Literal

import httpx
from fastapi import APIRouter, Path, Request
from starlette.responses import HTMLResponse, Response

from services.reporter.web.owners import Fault, Owners, Row
from services.reporter.web.rendering import Templates
from services.reporter.web.security import PICTURE_POLICY
from services.reporter.web.sessions import person

ImageId = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]
Method = Literal["grad-cam", "lime", "shap"]
SHOWN_TYPES = {"image/jpeg", "image/png", "image/webp", "image/gif", "image/avif", "image/bmp"}
"""What every browser shows; of another format people see the picture as the model gets it."""
LARGEST_BYTES = 12 * 2**20
KEPT = {"Cache-Control": "private, max-age=86400, immutable", "Content-Security-Policy": PICTURE_POLICY}
"""The id is the digest of the bytes, so the picture never changes."""
METHODS = {"grad-cam": "Grad-CAM", "lime": "LIME", "shap": "SHAP"}
WAIT_S = 5.0


def picture_routes(owners: Owners, templates: Templates) -> APIRouter:
    """``/pictures`` and ``/review/explanations``."""
    router = APIRouter(include_in_schema=False)

    @router.get("/pictures/{image_id}/{size}")
    async def picture(image_id: ImageId, size: Literal["large", "model"], request: Request) -> Response:
        person(request)
        path = f"/api/v1/images/{image_id}"
        if size == "large" and (original := await _original(owners, path)) is not None:
            return _shown(original)
        return _shown(await owners.answer("ingest", f"{path}/normalised"))

    @router.get("/review/explanations/{image_id}")
    async def explanation(image_id: ImageId, request: Request, model: str, method: Method) -> Response:
        person(request)
        told, fault = Row(), ""
        try:
            told = await owners.get(
                "evaluator",
                f"/api/v1/explanations/{image_id}",
                model_version=model,
                method=method,
                wait_s=WAIT_S,
            )
        except Fault as error:
            fault = str(error)
        shown = templates.render(
            "review/explanation.html", told=told, fault=fault, image_id=image_id, model=model,
            method=method, name=METHODS[method],
        )  # fmt: skip
        return HTMLResponse(shown)

    @router.get("/review/explanations/{image_id}/overlay")
    async def overlay(image_id: ImageId, request: Request, model: str, method: Method) -> Response:
        person(request)
        found = await owners.answer(
            "evaluator", f"/api/v1/explanations/{image_id}/overlay", model_version=model, method=method
        )
        if found.headers.get("content-type") != "image/png":
            raise Fault(503, "The picture of the explanation is not ready; ask for it again.")
        return _shown(found)

    return router


async def _original(owners: Owners, path: str) -> httpx.Response | None:
    """The original, when it was kept, is not huge and browsers show its format."""
    try:
        found = await owners.answer("ingest", f"{path}/original")
    except Fault as error:
        if error.status != httpx.codes.NOT_FOUND:
            raise
        return None
    fits = found.headers.get("content-type") in SHOWN_TYPES and len(found.content) <= LARGEST_BYTES
    return found if fits else None


def _shown(found: httpx.Response) -> Response:
    return Response(found.content, media_type=found.headers["content-type"], headers=KEPT)
