"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from contracts.values import Source

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


SOURCES = "real, staged or synthetic"


def source_named(text: str) -> Source:
    """Where pictures come from.

    Raises:
        typer.BadParameter: nothing is called so.
    """
    from contracts.values import Source

    try:
        return Source(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not one of {SOURCES}", param_hint="--source") from error


def given(**values: Any) -> dict[str, Any]:
    """Options that were given, by name."""
    return {name: value for name, value in values.items() if value is not None}


def person(by: str | None) -> str:
    """Who is recorded as asking."""
    import getpass

    if by and by.strip():
        return by.strip()[:200]  # contracts.values.PersonName
    try:
        return getpass.getuser()[:200] or "ops"
    except (OSError, KeyError):  # a container's user may have no name
        return "ops"
