"""``menagerie demo``."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.ops.clients.output import Output
from services.ops.commands.options import AsJson
from services.ops.commands.session import run

if TYPE_CHECKING:
    from services.ops.demo.house import House
    from services.ops.demo.material import Material
    from services.ops.demo.stages import Stages
    from services.ops.stack.record import Connection


def demo(
    images: Annotated[
        Path | None,
        typer.Option(
            "--images",
            exists=True,
            file_okay=False,
            help="Your own pictures: one folder per class, or a labels.csv.",
        ),
    ] = None,
    leave: Annotated[
        bool, typer.Option("--exit", help="Stop everything at the end instead of keeping the web page.")
    ] = False,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            "--data-dir",
            envvar="MENAGERIE_DEMO_DIR",
            file_okay=False,
            help="The demo's own folder; a former demo in it is wiped.",
        ),
    ] = None,
    port_base: Annotated[int | None, typer.Option("--port-base", help="First port of the block.")] = None,
    limit_per_class: Annotated[int | None, typer.Option("--limit-per-class", hidden=True)] = None,
    as_json: AsJson = False,
) -> None:
    """Run the whole chain twice on real pictures, in a stack of its own, and account for every file."""
    import signal

    # SIGTERM must stop the stack like Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    problems = run(_demo(Output(as_json), images, leave, data_dir, port_base, limit_per_class))
    if problems:
        raise typer.Exit(1)


async def _demo(
    output: Output,
    images: Path | None,
    leave: bool,
    data_dir: Path | None,
    port_base: int | None,
    limit_per_class: int | None,
) -> list[str]:
    from services.ops.demo.house import House, default_demo_dir, prepare
    from services.ops.demo.report import tables
    from services.ops.demo.stages import Stages

    stages = Stages(output)
    layout = prepare(data_dir or default_demo_dir())
    with stages.stage("pictures", "Getting the pictures ready"):
        material = await asyncio.to_thread(_material, images, layout.root / "demo-images", limit_per_class)
    for remark in material.remarks:
        output.say(f"  {remark}")
    house = House(layout, material.settings, port_base)
    try:
        with stages.stage("start", f"Starting the servers and services in {layout.root}"):
            stack = await house.start()
        output.say(f"  web page: {stack.urls['web']}")
        report = await _tour(output, material, stages, stack, house)
        if not output.as_json:
            output.end(report, *tables(report, stack.urls["web"], str(layout.root), stays=not leave))
        if not leave:
            await _stay(output, house, stack)
    finally:
        await house.stop()
    if output.as_json:
        output.end(report)
    return list(report["demo"]["problems"])


def _material(images: Path | None, folder: Path, limit_per_class: int | None) -> Material:
    from services.ops.demo.digits import digits_material
    from services.ops.demo.folder import folder_material

    return folder_material(images) if images else digits_material(folder, limit_per_class)


async def _tour(
    output: Output, material: Material, stages: Stages, stack: Connection, house: House
) -> dict[str, Any]:
    from services.ops.clients.bus import open_bus
    from services.ops.clients.reads import open_reporter
    from services.ops.clients.retry import OUTAGE_S
    from services.ops.clients.uploads import Uploader
    from services.ops.demo.chain import Chain
    from services.ops.demo.tour import Tour, take_account

    async with (
        open_reporter(stack.urls["reporter"], stack.api_token) as reporter,
        open_bus(stack.urls["nats"], stack.ops_password, patience_s=OUTAGE_S) as bus,
    ):
        chain = Chain(reporter, bus, Uploader(stack.urls["ingest"], stack.api_token), output)
        tour = Tour(material, chain, stages, output)
        await tour.run()
        return await take_account(material, tour, chain, reporter, bus, house.states(), stages.seconds)


async def _stay(output: Output, house: House, stack: Connection) -> None:
    from services.ops.clients.errors import OpsError

    output.say(f"\nThe web page stays at {stack.urls['web']} until you press Ctrl-C.")
    while not house.ended:
        await asyncio.sleep(0.5)
    if not house.stopped_on_purpose:
        raise OpsError(f"the stack ended by itself: see {house.layout.root / 'logs'}")
