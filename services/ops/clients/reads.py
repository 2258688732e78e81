"""The reporter's read model over HTTP: what the whole pipeline knows, without asking each service."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from services.ops.clients.errors import OpsError, Unreachable

ANSWER_TIMEOUT_S = 30.0
PAGE = 500
Row = dict[str, Any]


class Reporter:
    """Typed by nothing but the documented JSON: the reporter may add fields."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def get(self, path: str, **params: str | int | None) -> Any:
        """The JSON answer of ``path``, None when there is no such thing (HTTP 404).

        Raises:
            Unreachable: no answer, or the server is starting or overloaded.
            OpsError: the server refuses the question.
        """
        query = {name: value for name, value in params.items() if value is not None}
        try:
            answer = await self._client.get(path, params=query)
        except httpx.TransportError as error:
            raise _away(self._client, error) from error
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        _check(answer)
        return answer.json()

    async def file(self, path: str) -> bytes | None:
        """The bytes of ``path``, None when there is no such file.

        Raises:
            Unreachable, OpsError: as ``get``.
        """
        try:
            answer = await self._client.get(path)
        except httpx.TransportError as error:
            raise _away(self._client, error) from error
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        _check(answer)
        return answer.content

    async def rows(
        self, path: str, key: str, limit: int | None = None, **params: str | int | None
    ) -> AsyncIterator[Row]:
        """Rows of a paged list, page by page, at most ``limit``."""
        after: str | int | None = None
        left = limit
        while left is None or left > 0:
            page = await self.get(
                path, limit=PAGE if left is None else min(PAGE, left), after=after, **params
            )
            for row in (page or {}).get(key, [])[:left]:
                yield row
            after = (page or {}).get("next")
            if after is None:
                return
            left = None if left is None else left - len(page[key])

    async def summary(self) -> Row:
        """Counts of everything (docs/architecture.md, HTTP)."""
        found = await self.get("/api/v1/summary")
        if not isinstance(found, dict):
            raise OpsError(f"{self._client.base_url} is not a Menagerie reporter: check --data-dir")
        return found

    async def sign_in_link(self, name: str) -> str:
        """Path of a link that signs ``name`` in, once. Raises as ``get``."""
        try:
            answer = await self._client.post("/api/v1/sign-in-links", json={"by": name})
        except httpx.TransportError as error:
            raise _away(self._client, error) from error
        _check(answer)
        path: str = answer.json()["path"]
        return path

    async def rebuild(self) -> AsyncIterator[Row]:
        """Progress of a rebuild, line by line; the last line compares the tables."""
        try:
            async with self._client.stream("POST", "/api/v1/rebuild", timeout=None) as answer:
                if answer.is_error:
                    await answer.aread()
                _check(answer)
                async for line in answer.aiter_lines():
                    if line.strip():
                        yield json.loads(line)
        except httpx.TransportError as error:
            raise _away(self._client, error) from error


def _away(client: httpx.AsyncClient, error: Exception) -> Unreachable:
    return Unreachable(
        f"the reporter at {client.base_url} does not answer ({type(error).__name__}): "
        "start it with `menagerie up`"
    )


def _check(answer: httpx.Response) -> None:
    if not answer.is_error:
        return
    detail = " ".join(answer.text.split())[:300]
    sentence = f"the reporter answers HTTP {answer.status_code} to {answer.url.path} ({detail})"
    if answer.is_server_error:
        raise Unreachable(f"{sentence}: see its log in the data directory")
    raise OpsError(sentence)


@asynccontextmanager
async def open_reporter(base_url: str, token: str) -> AsyncIterator[Reporter]:
    """A client with its own connection pool."""
    headers: Mapping[str, str] = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=base_url, headers=headers, timeout=ANSWER_TIMEOUT_S) as client:
        yield Reporter(client)
