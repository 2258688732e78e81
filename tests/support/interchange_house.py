"""The menagerie command beside a real ingest service on a port of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from services.ops import cli
from services.ops.commands import interchange
from services.ops.stack.record import Connection
from tests.support.browser import serving
from tests.support.ingest_service import TOKEN, IngestServers
from tests.support.servers import Broker, S3Server


class Desk:
    """Runs commands against whichever library is open; each library is a database of its own."""

    def __init__(
        self,
        broker: Broker,
        s3: S3Server,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self._broker, self._s3, self._folder = broker, s3, folder
        self._monkeypatch, self._capsys = monkeypatch, capsys
        self.errors = ""

    @contextmanager
    def library(self, name: str) -> Iterator[str]:
        """The library ``name`` with a service in front; gives its address."""
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        servers = IngestServers(self._broker, self._s3, f"sqlite:///{folder}/ingest.sqlite", folder / "work")
        with serving(servers.service().asgi()) as url:
            stack = Connection({"ingest": url}, "", TOKEN, "ready", {})
            self._monkeypatch.setattr(interchange, "find_stack", lambda data_dir: stack)
            yield url

    def run(self, *arguments: object, code: int = 0) -> Any:
        """The JSON that the command prints; it must end with ``code``."""
        ended = 0
        try:
            cli.main([*map(str, arguments), "--json"])
        except SystemExit as end:
            ended = int(str(end.code or 0))
        shown = self._capsys.readouterr()
        self.errors = shown.err
        assert ended == code, shown.err
        # The service logs to the same standard output, from a thread of its own.
        documents = [line for line in shown.out.splitlines() if line.startswith("{")]
        return json.loads(documents[-1]) if documents else None
