"""The FastAPI application of the reporter."""

from __future__ import annotations

from fastapi import FastAPI, Request
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import JSONResponse

from services.reporter.domain.cursor import BadCursor
from services.reporter.rebuild import Rebuild
from services.reporter.settings import ReporterSettings
from services.reporter.web.api import api_routes
from services.reporter.web.assets import Assets
from services.reporter.web.files import file_routes
from services.reporter.web.health import Services
from services.reporter.web.pages import Overview, page_routes
from services.reporter.web.searches import search_routes
from services.reporter.web.security import SecurityHeaders
from services.runtime.database import Database
from services.runtime.objectstore import ObjectStore


def build_application(
    settings: ReporterSettings, database: Database, store: ObjectStore, rebuild: Rebuild
) -> FastAPI:
    """The page, its files and the JSON; interactive API pages stay off, they load foreign scripts."""
    assets = Assets()
    services = Services(settings.service_urls, settings.service_timeout_s, settings.service_fresh_s)
    app = FastAPI(
        title="Menagerie reporter",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
    )
    app.include_router(api_routes(database, rebuild, settings.api_token))
    app.include_router(search_routes(database, store))
    app.include_router(file_routes(database, store, assets))
    app.include_router(page_routes(Overview(database, services, assets)))
    # A foreign name that resolves to this machine must not read the page (DNS rebinding).
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(settings.allowed_hosts))
    app.add_middleware(SecurityHeaders)

    @app.exception_handler(BadCursor)
    async def bad_cursor(_request: Request, error: BadCursor) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 400)

    return app
