"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        envvar="MENAGERIE_DATA_DIR",
        file_okay=False,
        help="Where the stack keeps everything; default: the user's data folder.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Stay until it is done.")]
Timeout = Annotated[float, typer.Option("--timeout-s", min=1, help="How long to wait at most, in seconds.")]
By = Annotated[
    str | None, typer.Option("--by", help="Who asks, as recorded; default: the user's login name.")
]


def person(by: str | None) -> str:
    """Who is recorded as asking."""
    import getpass

    if by and by.strip():
        return by.strip()[:200]  # contracts.values.PersonName
    try:
        return getpass.getuser()[:200] or "ops"
    except (OSError, KeyError):  # a container's user may have no name
        return "ops"
