"""Who may use a service over HTTP: whoever holds the API token."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable

from pydantic import SecretStr
from starlette.requests import Request

from services.runtime.web.refusals import Refused


def bears(request: Request, token: SecretStr) -> bool:
    """Whether the request carries ``token``; one that is not set lets nobody in."""
    expected = token.get_secret_value()
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    # Bytes: compare_digest refuses text beyond ASCII.
    same = hmac.compare_digest(given.strip().encode(), expected.encode())
    return bool(expected) and scheme.lower() == "bearer" and same


def token_required(token: SecretStr) -> Callable[[Request], Awaitable[None]]:
    """A dependency of every route; raises ``Refused`` with 401."""

    async def authorise(request: Request) -> None:
        if not bears(request, token):
            raise Refused(
                401,
                "send the header 'Authorization: Bearer <api token>'",
                {"WWW-Authenticate": "Bearer"},
            )

    return authorise
