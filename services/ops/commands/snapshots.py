"""``menagerie snapshot`` packs the library, ``menagerie snapshots`` lists what was packed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from services.ops.clients.output import Output, facts, moment, table
from services.ops.commands.options import AsJson, By, DataDir, Timeout, Wait, person
from services.ops.commands.session import open_session, read_ingest, run


def snapshot(
    wait: Wait = True,
    timeout_s: Timeout = 3600.0,
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Pack the library as it is now, ready to train on."""
    run(_snapshot(data_dir, Output(as_json), wait, timeout_s, person(by)))


async def _snapshot(data_dir: Path | None, output: Output, wait: bool, timeout_s: float, by: str) -> None:
    from services.ops.clients.following import packed_snapshot, packing_progress
    from services.ops.clients.requests import request_snapshot
    from services.ops.clients.undecided import undecided_pairs
    from services.ops.commands.progress import measuring

    request = request_snapshot(by)
    async with open_session(data_dir) as session:
        if not wait:
            await session.bus.request(request)
            data: dict[str, Any] = {"request_id": request.request_id}
        else:
            with measuring(output, "Packing the library") as advance:
                async with packing_progress(session.bus, request, advance):
                    await session.bus.request(request)
                    data = await packed_snapshot(session.reporter, request, timeout_s)
        undecided = await undecided_pairs(session.reporter)
    output.end(data, facts("Snapshot", data))
    if undecided:
        output.warn(undecided)


def snapshots(
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many.")] = 50,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List the packed snapshots, the newest first."""
    data = run(read_ingest(data_dir, "/api/v1/snapshots", limit=limit))
    counted = ("images", "labelled", "classes", "shards", "shards_reused")
    columns = ("snapshot_id", *counted[:4], "reused", "packed")
    rows = [
        (one["snapshot_id"], *(one[name] for name in counted), moment(one["packed_at"]))
        for one in data["snapshots"]
    ]
    Output(as_json).end(data, table(f"{len(rows)} snapshots", columns, rows))
