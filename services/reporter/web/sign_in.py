"""Signing in and out: a one-time link, or the stack's token once; afterwards only the cookie travels."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, SecretStr
from starlette.responses import HTMLResponse, RedirectResponse, Response

from services.reporter.web.forms import read_form
from services.reporter.web.rendering import Templates
from services.reporter.web.security import require_token
from services.reporter.web.sessions import BadLink, Door, from_here, person_name, signed_in

FIRST_PAGE = "/review"


class LinkRequest(BaseModel):
    """Whom the link signs in."""

    by: str = Field(min_length=1, max_length=200)


def sign_in_routes(door: Door, templates: Templates, token: SecretStr) -> APIRouter:
    """``/sign-in``, ``/sign-out``, and links for them."""
    router = APIRouter(include_in_schema=False)

    def page(request: Request, fault: str = "", status: int = 200, **given: str) -> Response:
        shown = {"ticket": "", "name": "", "next": "", "typed": ""} | given
        context = {"here": "", "person": signed_in(request), "fault": fault, "open": door.is_open}
        return HTMLResponse(templates.render("sign-in.html", **context, **shown), status)

    @router.get("/sign-in")
    async def asked(request: Request, ticket: str = "", next: str = "") -> Response:  # noqa: A002
        if not ticket:
            return page(request, next=_own(next))
        try:
            return page(request, ticket=ticket, name=door.person_of(ticket))
        except BadLink as error:
            return page(request, str(error), 403)

    @router.post("/sign-in")
    async def signing(request: Request) -> Response:
        from_here(request)
        form = await read_form(request)
        target = _own(form.get("next", ""))
        try:
            if form.get("ticket"):
                name = door.use(form["ticket"])
            elif not (name := person_name(form.get("name", ""))):
                return page(request, "Please say who you are: your verdicts are kept under your name.", 422)
            elif not door.fits(form.get("token", "")):
                sentence = "That is not the token of this system. `menagerie open` makes a link without it."
                return page(request, sentence, 403, typed=name, next=target)
        except BadLink as error:
            return page(request, str(error), 403)
        request.session.clear()
        request.session["person"] = name
        return RedirectResponse(target, 303)

    @router.post("/sign-out")
    async def leaving(request: Request) -> Response:
        from_here(request)
        request.session.clear()
        return RedirectResponse("/", 303)

    @router.post("/api/v1/sign-in-links")
    async def link(asked: LinkRequest, request: Request) -> dict[str, str]:
        """For who holds the token; the link is opened by the person it names."""
        require_token(token, request)
        return {"path": f"/sign-in?ticket={door.link(person_name(asked.by) or 'somebody')}"}

    return router


def _own(path: str) -> str:
    """Where to go on: a page of ours, never another site."""
    ours = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if ours else FIRST_PAGE
