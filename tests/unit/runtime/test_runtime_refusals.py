"""What a service answers when something failed that nobody foresaw."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.runtime.web.refusals import answer_refusals


@pytest.mark.parametrize(("method", "words"), [("GET", "cannot be read now"), ("POST", "could not be kept")])
async def test_the_unforeseen_is_told_as_what_it_was_and_without_its_cause(method: str, words: str) -> None:
    async def failing(_request: Request) -> Response:
        raise RuntimeError("secret")

    app = Starlette(routes=[Route("/", failing, methods=[method])])
    answer_refusals(app)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        answer = await client.request(method, "/")
    assert (answer.status_code, words in answer.text, "secret" in answer.text) == (503, True, False)
