"""The train view: images per class under any version of the taxonomy, and how many are missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.ops.clients.output import Output, plain, table
from services.ops.commands.options import AsJson, DataDir
from services.ops.commands.session import read_ingest, run

if TYPE_CHECKING:
    from rich.console import Group

BAR = 20
"""Characters of a class that has its minimum."""
SOURCES = ("real", "staged", "synthetic")
BESIDE = ("unlabelled", "unknown", "out_of_scope", "rejected")
ToVersion = Annotated[
    int | None, typer.Option("--version", min=0, help="Classes of this version; default: the newest.")
]


def classes(version: ToVersion = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Images per class and sub-class, and how many are missing until a class is trained."""
    _end(data_dir, as_json, "/api/v1/classes", version)


def apply(
    version: Annotated[int, typer.Option("--version", min=0, help="The version to apply.")],
    snapshot: Annotated[
        str | None, typer.Option("--snapshot", help="To this snapshot; default: the library as it is now.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """What would be trained under another version; nothing changes."""
    if snapshot is not None and not snapshot.isalnum():
        raise typer.BadParameter(f"{snapshot!r} is no snapshot id", param_hint="--snapshot")
    path = "/api/v1/classes" if snapshot is None else f"/api/v1/snapshots/{snapshot}/classes"
    _end(data_dir, as_json, path, version)


def _end(data_dir: Path | None, as_json: bool, path: str, version: int | None) -> None:
    from contracts.training import DatasetRules

    found, minimum = (
        run(read_ingest(data_dir, path, taxonomy_version=version)),
        DatasetRules().minimum_per_class,
    )
    listed = [{**one, "missing": max(0, minimum - one["images"])} for one in found["classes"]]
    data = {**found, "minimum_per_class": minimum, "classes": listed}
    Output(as_json).end(data, *_tables(data))


def _tables(data: dict[str, Any]) -> list[Group]:
    minimum = data["minimum_per_class"]
    columns = ("class", "", "images", *SOURCES, "missing")
    ready = sum(not one["missing"] for one in data["classes"])
    title = (
        f"Version {data['taxonomy_version']}: {ready} of {len(data['classes'])} classes have {minimum} images"
    )
    beside = [(name.replace("_", " "), data[name]) for name in BESIDE] + [("all images", data["images"])]
    return [
        table(title, columns, [row for one in data["classes"] for row in _rows(one, minimum)]),
        table("Beside the classes", ("", "images"), beside),
    ]


def _rows(one: dict[str, Any], minimum: int) -> Iterator[tuple[object, ...]]:
    bar = "\N{FULL BLOCK}" * (BAR * min(one["images"], minimum) // minimum)
    yield one["class_name"], bar, *_figures(one), one["missing"] or None
    if [sub["label"] for sub in one["sub_classes"]] != [one["class_name"]]:
        for sub in one["sub_classes"]:
            yield f"  {plain(sub['label'])}", None, *_figures(sub), None


def _figures(one: dict[str, Any]) -> tuple[int, ...]:
    return one["images"], *(one["by_source"][source] for source in SOURCES)
