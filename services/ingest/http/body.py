"""The body of a request that is read as a whole."""

from __future__ import annotations

from fastapi import Request

from services.ingest.domain.faults import ActionRefused


async def whole_body(request: Request, most_bytes: int, what: str) -> bytes:
    """The bytes.

    Raises:
        ActionRefused: there are more than ``most_bytes``; the rest is not read.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most_bytes:
            raise ActionRefused(413, f"the {what} is larger than {most_bytes} bytes; split it")
    return bytes(body)
