"""Who may use ingest over HTTP: whoever holds the API token."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable

from fastapi import Request

from services.ingest.reception.multipart import UploadRefused
from services.ingest.settings import IngestSettings


def token_required(settings: IngestSettings) -> Callable[[Request], Awaitable[None]]:
    """A dependency of every route."""
    token = settings.api_token.get_secret_value()

    async def authorise(request: Request) -> None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        # Bytes: compare_digest refuses text beyond ASCII. An unset token lets nobody in.
        same = hmac.compare_digest(given.strip().encode(), token.encode())
        if not token or scheme.lower() != "bearer" or not same:
            raise UploadRefused(401, "send the header 'Authorization: Bearer <api token>'")

    return authorise
