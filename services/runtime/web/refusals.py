"""Refusals and failures as ``{"detail": sentence}``."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response


class Refused(Exception):
    """The request cannot be served as it is; ``status`` is HTTP's for it."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = headers


def answer_refusals(app: Starlette, *kinds: type[Exception]) -> None:
    """Answer ``Refused``, the service's own ``kinds``, which have a ``status``, and the unforeseen (503)."""
    refusals: tuple[type[Exception], ...] = (Refused, *kinds)
    for kind in refusals:
        app.add_exception_handler(kind, _refuse)
    app.add_exception_handler(Exception, _fail)


async def _refuse(_request: Request, refused: Exception) -> Response:
    status: int = getattr(refused, "status", 500)
    return JSONResponse({"detail": str(refused)}, status, getattr(refused, "headers", None))


async def _fail(request: Request, _error: Exception) -> Response:
    # The cause is logged, and may name what nobody outside needs to know.
    failed = "it cannot be read now" if request.method in {"GET", "HEAD"} else "it could not be kept"
    return JSONResponse({"detail": f"{failed}; send the same request again"}, 503)
