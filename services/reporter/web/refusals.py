"""Whatever goes wrong on a page is a sentence on the page, and what was on it stays."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from services.reporter.web.owners import Fault
from services.reporter.web.rendering import Templates
from services.reporter.web.security import HEADERS
from services.reporter.web.sessions import NotSignedIn, WrongSite, signed_in
from services.runtime.web.refusals import Refused

SAID = {"HX-Retarget": "#said", "HX-Reswap": "innerHTML"}
"""A fragment that is a sentence goes where sentences stand, in place of nothing else."""
UNFORESEEN = (
    "That failed in a way nobody foresaw. Try again in a moment: it counts once, however often. If it stays "
    "so, whoever runs the system looks at the reporter's log."
)


def said(templates: Templates, sentence: str, status: int, **context: object) -> Response:
    """The sentence for a page that htmx asked from."""
    shown = {"choices": (), "new_label": "", "sign_in": False} | context
    return HTMLResponse(templates.render("said.html", sentence=sentence, **shown), status, SAID)


def answer_faults(app: FastAPI, templates: Templates) -> None:
    """Answer Fault, Refused, NotSignedIn, WrongSite and the unforeseen."""

    def told(request: Request, status: int, sentence: str, sign_in: bool = False) -> Response:
        if _is_fragment(request):
            return said(templates, sentence, status, sign_in=sign_in)
        page = templates.render("fault.html", here="", person=signed_in(request), sentence=sentence)
        return HTMLResponse(page, status)

    @app.exception_handler(Fault)
    async def faulty(request: Request, fault: Fault) -> Response:
        return told(request, fault.status, str(fault))

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> Response:
        return told(request, error.status, str(error))

    @app.exception_handler(NotSignedIn)
    async def stranger(request: Request, _error: NotSignedIn) -> Response:
        if _is_fragment(request):
            sentence = "Your sign-in has ended, and nothing was changed. Sign in again, then do it once more."
            return told(request, 401, sentence, sign_in=True)
        if request.method != "GET":
            return told(request, 401, "Please sign in first; nothing was changed.")
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"/sign-in?next={quote(request.url.path + query)}", 303)

    @app.exception_handler(WrongSite)
    async def foreign(request: Request, _error: WrongSite) -> Response:
        return told(request, 403, "This was not sent from a page of this system, so nothing was changed.")

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, _error: Exception) -> Response:
        # The server logs the cause. No middleware is left around this, so the headers are set here.
        if request.url.path.startswith("/api/"):
            return JSONResponse({"detail": UNFORESEEN}, 500, HEADERS)
        answer = said(templates, UNFORESEEN, 500)
        if not _is_fragment(request):
            page = templates.render("fault.html", here="", person=None, sentence=UNFORESEEN)
            answer = HTMLResponse(page, 500)
        answer.headers.update(HEADERS)
        return answer


def _is_fragment(request: Request) -> bool:
    return request.headers.get("hx-request") == "true"
