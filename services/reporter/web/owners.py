"""The services that own what the pages show and change, over their HTTP; every fault is a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
from pydantic import SecretStr

WHAT = {"ingest": "The library", "evaluator": "The evaluator"}
"""How people call a service."""
DETAIL_CHARS = 600
Row = dict[str, Any]


class Fault(Exception):
    """An owner did not do what was asked; the text says to people what to do, ``status`` is HTTP's for it."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Owners:
    """One client for all of them; the token is this service's and never leaves the machine room."""

    def __init__(self, urls: Mapping[str, str], token: SecretStr, timeout_s: float) -> None:
        self._urls = dict(urls)
        self._token = token
        self._timeout_s = timeout_s
        self._client: httpx.AsyncClient | None = None

    async def close(self) -> None:
        """Let go of the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def get(self, service: str, path: str, **params: Any) -> Row:
        """The JSON of ``path``; parameters that are None are left out. Raises Fault."""
        return _json(service, await self.answer(service, path, **params))

    async def post(self, service: str, path: str, body: Row) -> Row:
        """The JSON answer to a JSON body. Raises Fault."""
        return _json(service, _checked(service, await self._ask(service, "POST", path, json=body)))

    async def command(self, service: str, name: str, **fields: Any) -> Row:
        """Do a command of contracts/commands.py; its ``request_id`` twice counts once. Raises Fault."""
        return await self.post(service, f"/api/v1/commands/{name}", fields)

    async def answer(self, service: str, path: str, **params: Any) -> httpx.Response:
        """The whole answer, which is no error. Raises Fault."""
        given = {name: value for name, value in params.items() if value is not None}
        return _checked(service, await self._ask(service, "GET", path, params=given))

    async def _ask(self, service: str, method: str, path: str, **options: Any) -> httpx.Response:
        base = self._urls.get(service, "")
        if not base.startswith(("http://", "https://")):
            raise Fault(
                503,
                f"{WHAT[service]} has no address here. Whoever runs the system gives the reporter one for "
                f"{service!r} in MENAGERIE_SERVICE_URLS (`menagerie up` does).",
            )
        if self._client is None:
            # Loopback is never behind the proxy that the environment may name.
            self._client = httpx.AsyncClient(timeout=self._timeout_s, trust_env=False)
        headers = {"Authorization": f"Bearer {self._token.get_secret_value()}"}
        try:
            return await self._client.request(method, base.rstrip("/") + path, headers=headers, **options)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise Fault(
                503,
                f"{WHAT[service]} does not answer ({type(error).__name__}). Try again in a moment: it counts "
                "once, however often. If it stays so, whoever runs the system looks at `menagerie status`.",
            ) from error


def _checked(service: str, answer: httpx.Response) -> httpx.Response:
    if not answer.is_error:
        return answer
    detail = _detail(answer)
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        raise Fault(
            502,
            f"{WHAT[service]} does not know this page's token: all services need one MENAGERIE_API_TOKEN.",
        )
    if answer.is_server_error or "retry-after" in answer.headers:
        raise Fault(503, f"{WHAT[service]} cannot do it now ({detail}). Try again in a moment.")
    raise Fault(answer.status_code, f"{WHAT[service]} says: {detail}")


def _detail(answer: httpx.Response) -> str:
    try:
        told = str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        told = f"HTTP {answer.status_code}"
    return " ".join(told.split())[:DETAIL_CHARS]


def _json(service: str, answer: httpx.Response) -> Row:
    try:
        found: Row = answer.json()
    except ValueError as error:
        raise Fault(502, f"{WHAT[service]} gives an answer that is none; look at its log.") from error
    return found
