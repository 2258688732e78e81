"""Headers and tokens: the page shows what strangers uploaded."""

from __future__ import annotations

from fastapi import HTTPException, Request
from pydantic import SecretStr
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.runtime.web.bearer import bears

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "font-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; sandbox"
)
"""Of a self-contained report: it loads nothing, runs nothing, and stands on an origin of its own."""
PICTURE_POLICY = "default-src 'none'; sandbox"
NARROWER = (REPORT_POLICY, PICTURE_POLICY)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    # Nothing to other sites; among our own pages a form needs its Origin, which no-referrer would hide.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class SecurityHeaders:
    """Adds the headers to every response, errors included."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                own_policy = headers.get("Content-Security-Policy")
                for name, value in HEADERS.items():
                    headers[name] = value
                if own_policy in NARROWER:
                    headers["Content-Security-Policy"] = own_policy
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, sending if scope["type"] == "http" else send)


def require_token(token: SecretStr, request: Request) -> None:
    """Let the bearer of ``token`` pass.

    Raises:
        HTTPException: 401 with what to send; also when no token is configured.
    """
    if not bears(request, token):
        raise HTTPException(
            401,
            "send `Authorization: Bearer TOKEN` with the reporter's api_token (the stack's credentials.json)",
            {"WWW-Authenticate": "Bearer"},
        )
