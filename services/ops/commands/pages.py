"""``menagerie open``: the address of the pages, and a link that signs a person in."""

from __future__ import annotations

from typing import Annotated

import typer

from services.ops.clients.output import Output
from services.ops.commands.options import AsJson, DataDir, person
from services.ops.commands.session import find_stack, run

MINUTES = 15
"""How long the reporter lets a link wait (services/reporter/web/sessions.py)."""


def open_(
    whom: Annotated[
        str | None, typer.Option("--for", help="Whose link; verdicts are kept under that name. Default: you.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Print the address of the web pages, with a link that signs a person in once."""
    stack = find_stack(data_dir)
    name, address = person(whom), stack.urls["reporter"]
    link = address + run(_link(address, stack.api_token, name))
    output = Output(as_json)
    if as_json:
        output.end({"url": address, "link": link, "name": name})
        return
    output.say(f"The pages: {address}")
    output.say(f"Signs {name} in, once, within {MINUTES} minutes:")
    output.say(link)  # a line of its own: it is copied


async def _link(base_url: str, token: str, name: str) -> str:
    from services.ops.clients.reads import open_reporter

    async with open_reporter(base_url, token) as reporter:
        return await reporter.sign_in_link(name)
