"""``menagerie benchmark``: hand-picked sets that models are measured on and never trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from services.ops.clients.output import Output, facts, table
from services.ops.commands.labels import Images, Reason, change_images
from services.ops.commands.options import AsJson, By, DataDir, person
from services.ops.commands.session import read_ingest, run


def add(
    name: Annotated[
        str,
        typer.Argument(metavar="SET", help="difficult, out-of-scope, most-common, or a name of your own."),
    ],
    images: Images,
    reason: Reason = None,
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Put images into a set; one that is in another set moves."""
    data = {"benchmark": name, **run(_assign(data_dir, images, name, reason, person(by)))}
    shown = {
        "set": name,
        "images": data["images"],
        "of them changed": data["changed"],
        "to take it back": "menagerie benchmark remove IMAGE...",
    }
    Output(as_json).end(data, facts("Benchmark", shown))


def remove(
    images: Images, reason: Reason = None, by: By = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Take images out of their set; they may be trained on again."""
    data = {"benchmark": None, **run(_assign(data_dir, images, None, reason, person(by)))}
    shown = {
        "images": data["images"],
        "of them taken out": data["changed"],
        "to take it back": "menagerie benchmark add SET IMAGE...",
    }
    Output(as_json).end(data, facts("Benchmark", shown))


def list_sets(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the sets with their sizes."""
    data = run(read_ingest(data_dir, "/api/v1/benchmarks"))
    columns = ("benchmark", "images", "labels")
    rows = [tuple(one[name] for name in columns) for one in data["benchmarks"]]
    Output(as_json).end(data, table("Benchmark sets", columns, rows))


async def _assign(
    data_dir: Path | None, images: list[str], name: str | None, reason: str | None, by: str
) -> dict[str, Any]:
    from services.ops.clients.selection import named_images

    fields = {"benchmark": name, "reason": reason, "by": by}
    return await change_images(
        data_dir, "benchmark.assign", named_images(images), "run the same again", fields
    )
