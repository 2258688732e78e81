"""The overview and its parts, rendered on the server."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, HTTPException
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from services.reporter.web.health import Services
from services.reporter.web.overview import PARTS, Part
from services.reporter.web.rendering import Templates
from services.runtime.database import Database


@dataclass(frozen=True)
class Rendered:
    """A part with the digest of its content: a browser that has it need not get it again."""

    html: Markup
    digest: str


class Overview:
    """Renders the overview from the store and the services' own answers."""

    def __init__(self, database: Database, services: Services, templates: Templates) -> None:
        self._database = database
        self._services = services
        self._templates = templates

    async def page(self) -> str:
        """The whole page."""
        rendered = await asyncio.gather(*(self.part(part) for part in PARTS.values()))
        parts = {name: part.html for name, part in zip(PARTS, rendered, strict=True)}
        return self._templates.render("overview.html", parts=parts, here="/")

    async def part(self, part: Part) -> Rendered:
        """One section, wrapped so that it asks for itself again."""
        context: dict[str, Any] = await self._database.read(part.read)
        if part.name == "services":
            context["services"] = await self._services.states()
        body = self._templates.render(f"parts/{part.name}.html", part=part, **context)
        digest = hashlib.sha256(body.encode()).hexdigest()[:16]
        wrapped = self._templates.render("part.html", part=part, digest=digest, body=Markup(body))  # noqa: S704 - just rendered
        return Rendered(Markup(wrapped), digest)  # noqa: S704 - rendered with autoescape


def page_routes(overview: Overview) -> APIRouter:
    """The page and its parts."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def page() -> HTMLResponse:
        return HTMLResponse(await overview.page())

    @router.get("/parts/{name}")
    async def part(name: str, seen: str = "") -> Response:
        if name not in PARTS:
            raise HTTPException(404, f"the overview has no part {name[:80]!r}")
        rendered = await overview.part(PARTS[name])
        # 204: htmx leaves what is on the screen, with its focus, selection and open details.
        return Response(status_code=204) if seen == rendered.digest else HTMLResponse(rendered.html)

    return router
