"""The body of a request that is read as a whole."""

from __future__ import annotations

from starlette.requests import Request

from services.runtime.web.refusals import Refused


async def whole_body(request: Request, most_bytes: int, what: str) -> bytes:
    """The bytes.

    Raises:
        Refused: there are more than ``most_bytes``; the rest is not read.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most_bytes:
            raise Refused(413, f"the {what} is larger than {most_bytes} bytes; split it")
    return bytes(body)
