"""Ingest and dedup over HTTP: what they hold, and what people ask of them. Done when answered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx

from services.ops.clients.errors import NotThere, OpsError, Unreachable
from services.ops.clients.requests import new_id
from services.ops.clients.retry import persist

ANSWER_TIMEOUT_S = 60.0
COMMAND_TIMEOUT_S = 900.0
"""Renaming a class of 100,000 images takes a minute or two on a busy machine, in one transaction."""
PATIENCE_S = 30.0
"""A restart of ingest takes a few seconds; a person waits for a command that long, not two minutes."""
PAGE = 1000
Row = dict[str, Any]
Param = str | int | float | bool | Sequence[str] | None


class Library:
    """Typed by nothing but the documented JSON: the service may add fields.

    Every call raises ``Unreachable`` while the service is away, ``NotThere`` for what it does not know, and
    ``OpsError`` with its own sentence when it refuses.
    """

    def __init__(self, client: httpx.AsyncClient, service: str = "ingest") -> None:
        self._client = client
        self._service = service

    async def get(self, path: str, **params: Param) -> Any:
        """The JSON answer of ``path``; parameters that are None are left out."""
        return (await self._ask("GET", path, params=_given(params))).json()

    async def rows(
        self, path: str, key: str, limit: int | None = None, **params: Param
    ) -> AsyncIterator[Row]:
        """Rows of a paged list, page by page, at most ``limit``."""
        left = limit
        while left is None or left > 0:
            page = await self.get(path, limit=PAGE if left is None else min(PAGE, left), **params)
            for row in page[key][:left]:
                yield row
            left = None if left is None else left - len(page[key])
            if page.get("next") is None:
                return
            params["after"] = page["next"]

    async def command(self, name: str, **fields: Any) -> Row:
        """Do the command ``name`` of contracts/commands.py and return its outcome.

        ``request_id`` is made here when absent, so that a repetition after a lost answer changes nothing.
        """
        body = {"request_id": new_id(), **fields}
        answer = await persist(
            lambda: self._ask("POST", f"/api/v1/commands/{name}", json=body, timeout=COMMAND_TIMEOUT_S),
            patience_s=PATIENCE_S,
        )
        found: Row = answer.json()
        return found

    async def content(self, path: str, **params: Param) -> bytes:
        """The bytes behind ``path``; parameters that are None are left out."""
        return (await self._ask("GET", path, params=_given(params))).content

    async def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            answer = await self._client.request(method, path, **options)
        except httpx.TransportError as error:
            raise Unreachable(
                f"{self._service} at {self._client.base_url} does not answer ({type(error).__name__}): "
                "start it with `menagerie up`"
            ) from error
        # Retry-After says that it will be possible in a moment: an image that is still being decoded.
        if answer.is_server_error or "retry-after" in answer.headers:
            detail = self._detail(answer)
            raise Unreachable(f"{self._service} cannot do it now ({detail}): see `menagerie status`")
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise NotThere(self._detail(answer))
        if answer.is_error:
            raise OpsError(self._detail(answer))
        return answer

    def _detail(self, answer: httpx.Response) -> str:
        """The service's own sentence, or what there is instead of one, in one line."""
        try:
            detail = answer.json()["detail"]
        except (ValueError, KeyError, TypeError):
            detail = f"{self._service} answers HTTP {answer.status_code} to {answer.url.path}: {answer.text}"
        return " ".join(str(detail).split())[:600]


def _given(params: dict[str, Param]) -> dict[str, Param]:
    return {name: value for name, value in params.items() if value is not None}


@asynccontextmanager
async def open_library(base_url: str, token: str, service: str = "ingest") -> AsyncIterator[Library]:
    """A client with its own connection pool."""
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=base_url, headers=headers, timeout=ANSWER_TIMEOUT_S) as client:
        yield Library(client, service)
