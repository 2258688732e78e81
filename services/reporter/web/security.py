"""Headers and tokens: the page shows what strangers uploaded."""

from __future__ import annotations

import secrets

from fastapi import HTTPException, Request
from pydantic import SecretStr
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "font-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
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
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, sending if scope["type"] == "http" else send)


def require_token(token: SecretStr, request: Request) -> None:
    """Let the bearer of ``token`` pass.

    Raises:
        HTTPException: 401 with what to send; also when no token is configured.
    """
    expected = token.get_secret_value()
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    # Bytes, because compare_digest refuses text that is not ASCII.
    right = secrets.compare_digest(given.encode(), expected.encode())
    if not expected or scheme.lower() != "bearer" or not right:
        raise HTTPException(
            401,
            "send `Authorization: Bearer TOKEN` with the reporter's api_token (the stack's credentials.json)",
            {"WWW-Authenticate": "Bearer"},
        )
