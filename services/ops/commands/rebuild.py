"""``menagerie rebuild reporter``: the reporting store made anew from the log, and compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from services.ops.clients.output import Output, plain, table
from services.ops.commands.options import AsJson, DataDir
from services.ops.commands.session import find_stack, run

TOLD_EVERY = 4096
"""Messages: about a second of work."""


def reporter(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Read the log from its start into a new reporting store and compare it with the old one."""
    last = run(_rebuild(data_dir, Output(as_json)))
    if not last.get("equal"):
        raise typer.Exit(1)


def _worth_telling(line: dict[str, Any]) -> bool:
    """The end of each stream, and a sign of life between."""
    if "seq" not in line:
        return "tables" not in line
    return bool(line["seq"] == line.get("of") or line["seq"] % TOLD_EVERY == 0)


async def _rebuild(data_dir: Path | None, output: Output) -> dict[str, Any]:
    from services.ops.clients.errors import OpsError
    from services.ops.clients.reads import open_reporter
    from services.ops.commands.progress import waiting

    stack = find_stack(data_dir)
    last: dict[str, Any] = {}
    async with open_reporter(stack.urls["reporter"], stack.api_token) as client:
        with waiting(output, "Reading the log"):
            async for line in client.rebuild():
                if _worth_telling(line):
                    output.say("  ".join(f"{name} {plain(value)}" for name, value in line.items()))
                last = line
    if "tables" not in last:
        cause = plain(last.get("error", "the connection closed"))
        raise OpsError(f"the rebuild ended early ({cause}): see the reporter's log and run it again")
    rows = [
        (name, counts["rows_before"], counts["rows_after"], counts["equal"])
        for name, counts in last["tables"].items()
    ]
    title = (
        "The new store equals the old one" if last.get("equal") else "The new store differs from the old one"
    )
    output.end(last, table(title, ("table", "rows before", "rows after", "equal"), rows))
    return last
