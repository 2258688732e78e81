"""``menagerie vectors``: similarity vectors, by which dedup finds crops and recoloured copies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.ops.clients.output import Output, facts
from services.ops.commands.options import AsJson, By, DataDir, person
from services.ops.commands.session import open_session, run


def vectors(
    version: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]",
            help="Version such as 002; default: the newest exported one, before it a pretrained network.",
        ),
    ] = None,
    snapshot: Annotated[
        str | None, typer.Option("--snapshot", help="Snapshot id; default: the newest.")
    ] = None,
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Request the similarity vectors that a snapshot's images lack; goes on in the background."""
    run(_vectors(data_dir, Output(as_json), version, snapshot, person(by)))


async def _vectors(
    data_dir: Path | None, output: Output, version: str | None, snapshot: str | None, by: str
) -> None:
    from services.ops.clients.following import chosen_model
    from services.ops.clients.requests import request_vectors

    async with open_session(data_dir) as session:
        if version is not None:
            await chosen_model(session.reporter, version)  # one that does not exist is told here
        request = request_vectors(version, by, snapshot)
        await session.bus.request(request)
    sent = {
        "request_id": request.request_id,
        "model_version": version or "the newest exported, or the pretrained network",
        "snapshot_id": snapshot or "the newest",
    }
    output.end(
        {**sent, "model_version": version, "snapshot_id": snapshot},
        facts("Similarity vectors requested", sent),
    )
