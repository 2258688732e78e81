"""``menagerie up`` and ``menagerie down``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from services.ops.commands.options import AsJson, DataDir

if TYPE_CHECKING:
    from services.ops.stack.process import ProcessEvent
    from services.ops.stack.stack import Stack

PortBase = Annotated[
    int | None, typer.Option("--port-base", help="First port; default: 18400 or the next free hundred.")
]
Chosen = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", help="A setting of the services, remembered; empty forgets it."
    ),
]


def up(
    data_dir: DataDir = None, port_base: PortBase = None, choose: Chosen = None, as_json: AsJson = False
) -> None:
    """Start everything on this machine and keep it running; Ctrl-C stops it."""
    import asyncio
    import time

    from services.ops.stack.layout import default_data_dir
    from services.ops.stack.preferences import parse
    from services.ops.stack.running import run_until_signal
    from services.ops.stack.stack import Stack

    show = _json_line if as_json else _line
    stack = Stack(
        data_dir or default_data_dir(),
        port_base=port_base,
        chosen=parse(choose or []),
        on_event=show,
    )
    began = time.monotonic()
    asyncio.run(
        run_until_signal(
            stack,
            on_ready=lambda: _say_ready(stack, time.monotonic() - began, as_json),
            on_stopping=lambda: None if as_json else _print("stopping, services first ..."),
        )
    )


def down(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Stop the stack of a data directory and wait until it has."""
    import json

    from services.ops.stack.layout import Layout, default_data_dir
    from services.ops.stack.running import stop_running

    layout = Layout((data_dir or default_data_dir()).expanduser().resolve())
    stopped = stop_running(layout)
    if as_json:
        typer.echo(json.dumps({"data_dir": str(layout.root), "stopped": stopped}))
    else:
        _print(f"stopped the stack in {layout.root}" if stopped else f"no stack runs in {layout.root}")


MARKS = {
    "ready": "[green]ready   [/]",
    "died": "[red]died    [/]",
    "killed": "[red]killed  [/]",
    "stopped": "[dim]stopped [/]",
    "moved": "[yellow]moved   [/]",
}


def _line(event: ProcessEvent) -> None:
    """What a person wants to see of it; each start of a process is only in the log."""
    if event.state == "started":
        return
    from rich.markup import escape

    mark = MARKS.get(event.state, f"[yellow]{event.state:8}[/]")
    _print(f"{mark} {event.process:10} [dim]{escape(event.detail)}[/]", markup=True)


def _json_line(event: ProcessEvent) -> None:
    import json
    from dataclasses import asdict

    typer.echo(json.dumps(asdict(event)))


def _say_ready(stack: Stack, seconds: float, as_json: bool) -> None:
    if as_json:
        import json

        typer.echo(json.dumps({"process": "stack", **stack.status(), "seconds": round(seconds, 1)}))
        return
    _print(f"\neverything is ready after {seconds:.0f} s; data in {stack.layout.root}")
    _print(f"web page  {stack.urls['web']}")
    _print("Ctrl-C stops it all, and so does `menagerie down` in another window")


def _print(text: str, *, markup: bool = False) -> None:
    from rich.console import Console

    Console(markup=markup, highlight=False, soft_wrap=True).print(text)
