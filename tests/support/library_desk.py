"""The menagerie command beside ingest's real HTTP side, without a broker."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from services.ingest.http.application import create_http
from services.ops import cli
from services.ops.commands import session
from services.ops.stack.record import Connection
from tests.support.browser import serving
from tests.support.ingest_house import House

TOKEN = "desk-token"


class LibraryDesk:
    """Runs commands against the library of a house and keeps what they print."""

    def __init__(
        self, house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.house = house
        self.out = ""
        self.err = ""
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    def type(self, *arguments: str, stdin: str = "") -> int:
        """The exit code; ``out`` and ``err`` have what was printed."""
        self._monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        code = 0
        try:
            cli.main(arguments)
        except SystemExit as ended:
            code = int(str(ended.code or 0))
        shown = self._capsys.readouterr()
        self.out, self.err = shown.out, shown.err
        return code

    def ask(self, *arguments: str, stdin: str = "") -> Any:
        """The JSON that a command prints, which must end well."""
        assert self.type(*arguments, "--json", stdin=stdin) == 0, self.err
        return json.loads(self.out)

    def fails(self, *arguments: str, stdin: str = "") -> str:
        """The one sentence with which a command ends."""
        assert self.type(*arguments, stdin=stdin) == 1
        assert self.out == ""
        assert self.err.startswith("menagerie: ")
        assert self.err.count("\n") == 1
        return self.err


@contextmanager
def library_desk(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[LibraryDesk]:
    """A library that is empty yet."""
    house = House(f"sqlite:///{folder}/ingest.sqlite", folder / "work")
    settings = house.settings.model_copy(update={"api_token": SecretStr(TOKEN)})
    app = create_http(house.reception, house.database, settings, house.store)
    with serving(app) as url:
        stack = Connection({"ingest": url}, "", TOKEN, "ready", {})
        monkeypatch.setattr(session, "find_stack", lambda data_dir: stack)
        yield LibraryDesk(house, capsys, monkeypatch)
    house.close()


def changes_told(rows: Sequence[dict[str, Any]]) -> list[tuple[str | None, str | None]]:
    """From and to of a history."""
    return [(row["from"], row["to"]) for row in rows]
