"""The FastAPI application of the reporter."""

from __future__ import annotations

from fastapi import FastAPI, Request
from starlette.middleware.sessions import SessionMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import JSONResponse

from services.reporter.domain.cursor import BadCursor
from services.reporter.rebuild import Rebuild
from services.reporter.settings import ReporterSettings
from services.reporter.web.api import api_routes
from services.reporter.web.assets import Assets
from services.reporter.web.confused import confused_routes
from services.reporter.web.files import file_routes
from services.reporter.web.health import Services
from services.reporter.web.model_pages import model_routes
from services.reporter.web.owners import Owners
from services.reporter.web.pages import Overview, page_routes
from services.reporter.web.refusals import answer_faults
from services.reporter.web.rendering import Templates
from services.reporter.web.review.pictures import picture_routes
from services.reporter.web.review.routes import review_routes
from services.reporter.web.searches import search_routes
from services.reporter.web.security import SecurityHeaders
from services.reporter.web.sessions import COOKIE, Door
from services.reporter.web.sign_in import sign_in_routes
from services.runtime.database import Database
from services.runtime.objectstore import ObjectStore


def build_application(
    settings: ReporterSettings, database: Database, store: ObjectStore, rebuild: Rebuild
) -> FastAPI:
    """The page, its files and the JSON; interactive API pages stay off, they load foreign scripts."""
    assets = Assets()
    templates = Templates(assets)
    services = Services(settings.service_urls, settings.service_timeout_s, settings.service_fresh_s)
    owners = Owners(settings.service_urls, settings.api_token, settings.owner_timeout_s)
    door = Door(settings.api_token)
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
    app.include_router(page_routes(Overview(database, services, templates)))
    app.include_router(sign_in_routes(door, templates, settings.api_token))
    app.include_router(review_routes(database, owners, templates))
    app.include_router(picture_routes(owners, templates))
    app.include_router(confused_routes(owners, templates))
    app.include_router(model_routes(database, store, templates))
    app.state.owners = owners
    answer_faults(app, templates)
    app.add_middleware(
        SessionMiddleware,
        secret_key=door.key,
        session_cookie=COOKIE,
        max_age=int(settings.session_hours * 3600),
        same_site="strict",
        https_only=settings.session_https_only,
    )
    # A foreign name that resolves to this machine must not read the page (DNS rebinding).
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(settings.allowed_hosts))
    app.add_middleware(SecurityHeaders)

    @app.exception_handler(BadCursor)
    async def bad_cursor(_request: Request, error: BadCursor) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 400)

    return app
