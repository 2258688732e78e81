"""Asking every service whether it is ready."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass

ANSWER_BYTES = 64 * 1024
"""A readiness answer has a few hundred; more is not from one of ours."""


@dataclass(frozen=True)
class ServiceState:
    """``state`` is ready, not-ready (``detail`` says which check) or silent."""

    name: str
    state: str
    detail: str


class Services:
    """States of all services, asked together and shared for a short time."""

    def __init__(self, urls: Mapping[str, str], timeout_s: float, fresh_s: float) -> None:
        self._urls = dict(urls)
        self._timeout_s = timeout_s
        self._fresh_s = fresh_s
        self._lock = asyncio.Lock()
        self._asked = float("-inf")
        self._answer: list[ServiceState] = []

    async def states(self) -> list[ServiceState]:
        """In the order of the settings."""
        async with self._lock:
            if time.monotonic() - self._asked > self._fresh_s:
                asked = (
                    asyncio.to_thread(_ask, name, url, self._timeout_s) for name, url in self._urls.items()
                )
                self._answer = list(await asyncio.gather(*asked))
                self._asked = time.monotonic()
            return self._answer


def _ask(name: str, base_url: str, timeout_s: float) -> ServiceState:
    url = f"{base_url.rstrip('/')}/health/ready"
    if not url.startswith(("http://", "https://")):
        return ServiceState(name, "silent", f"{base_url!r} is no http address; check MENAGERIE_SERVICE_URLS")
    # Loopback is never behind the proxy that the environment may name.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=timeout_s) as answer:
            return _read(name, answer.read(ANSWER_BYTES))
    except urllib.error.HTTPError as error:
        return _read(name, error.read(ANSWER_BYTES))
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return ServiceState(name, "silent", f"no answer: {reason}")


def _read(name: str, body: bytes) -> ServiceState:
    try:
        answer = json.loads(body)
        checks = dict(answer["checks"])
        ready = answer["ready"] is True
    except (ValueError, TypeError, KeyError):
        return ServiceState(name, "not-ready", "the answer is not a readiness report")
    if ready:
        return ServiceState(name, "ready", "")
    failing = [f"{check}: {state}" for check, state in checks.items() if state != "ok"]
    return ServiceState(name, "not-ready", "; ".join(failing) or "not ready")
