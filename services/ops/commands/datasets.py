"""``menagerie dataset``: what a model learned from and is tested on, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.ops.clients.output import Output, facts, moment, table
from services.ops.commands.options import AsJson, DataDir
from services.ops.commands.session import open_ingest, open_trainer, run

if TYPE_CHECKING:
    from rich.console import Group

    from services.ops.clients.library import Param

Row = dict[str, Any]
SHORT_ID = 12
SOURCES = ("real", "staged", "synthetic")
SIDES = ("train", "validation", "test", "benchmark", "out")
Model = Annotated[str | None, typer.Option("--model", help="Version such as 002; default: the newest.")]


def group() -> typer.Typer:
    """``menagerie dataset`` with its commands."""
    app = typer.Typer(
        help="What a model is trained and tested on, image by image, and why.", no_args_is_help=True
    )
    for command in (show, explain, preview):
        app.command(name=command.__name__)(command)
    return app


def show(model: Model = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """The data set of a model: its classes, its sides, and what is left out by which rule."""
    data = run(_summary(data_dir, _version(model)))
    Output(as_json).end(data, *summary_tables(f"Data set of model {data['model_version']}", data))


def preview(
    base: Annotated[
        str, typer.Option("--base", help="The model it starts from: newest, scratch, or a version.")
    ] = "newest",
    snapshot: Annotated[
        str | None, typer.Option("--snapshot", help="Snapshot id; default: the newest.")
    ] = None,
    minimum_per_class: Annotated[
        int | None, typer.Option("--minimum-per-class", min=1, help="Classes with fewer are left out.")
    ] = None,
    maximum_per_class: Annotated[
        int | None, typer.Option("--maximum-per-class", min=1, help="What is over goes to the test set.")
    ] = None,
    staged_cap: Annotated[
        int | None, typer.Option("--staged-cap", min=0, help="Staged and synthetic images fill up to this.")
    ] = None,
    train_share: Annotated[float | None, typer.Option("--train-share", help="0.9 by default.")] = None,
    validation_share: Annotated[
        float | None, typer.Option("--validation-share", help="0.1 by default; the rest is tested on.")
    ] = None,
    taxonomy_version: Annotated[
        int | None,
        typer.Option("--taxonomy-version", min=0, help="Classes of this version; default: the snapshot's."),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """The data set that a run would have now; nothing is trained and nothing is kept."""
    data = run(
        _summary(
            data_dir,
            "preview",
            base=base,
            snapshot_id=snapshot,
            minimum_per_class=minimum_per_class,
            maximum_per_class=maximum_per_class,
            staged_cap=staged_cap,
            train_share=train_share,
            validation_share=validation_share,
            taxonomy_version=taxonomy_version,
        )
    )
    Output(as_json).end(data, *summary_tables("Data set of a run that starts now", data))


def explain(
    images: Annotated[
        list[str],
        typer.Argument(metavar="IMAGE...", help="Ids, or their first 6 digits and more; - reads a list."),
    ],
    model: Model = None,
    as_preview: Annotated[
        bool, typer.Option("--preview", help="In a run that would start now, instead of a model.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Why an image is on its side, and what would change that."""
    if as_preview and model is not None:
        raise typer.BadParameter("give one of --model and --preview", param_hint="--preview")
    data = run(_explain(data_dir, "preview" if as_preview else _version(model), images))
    Output(as_json).end(data, *(_explanation(data, row) for row in data["images"]))


def _version(model: str | None) -> str:
    if model is None:
        return "newest"
    if not (model.isdecimal() and model.isascii() and 3 <= len(model) <= 9):
        raise typer.BadParameter(f"{model!r} is no model version such as 002", param_hint="--model")
    return model


def summary_tables(title: str, data: Row) -> list[Group]:
    """A data set for a person: all of it, rule by rule, class by class."""
    shown = {
        "snapshot": f"{data['snapshot_id']}, packed {moment(data['packed_at'])}",
        "grown from": ", ".join(data["ancestors"]) or "scratch",
        "images": data["images"],
        "train / validation / test": f"{data['train']} / {data['validation']} / {data['test']}",
        "benchmark / out": f"{data['benchmark']} / {data['out']}",
        "trained classes": data["trained_classes"],
    }
    rules = [(one["side"], one["images"], one["why"]) for one in data["by_rule"]]
    classes = [
        (
            one["class_name"],
            " + ".join(str(one[name]) for name in SOURCES),
            *(one[name] for name in SIDES),
            one["needed"] or None,
        )
        for one in data["classes"]
    ]
    columns = ("class", "real + staged + synthetic", "train", "val", "test", "bench", "out", "needs")
    trained = sum(one["class_index"] is not None for one in data["classes"])
    left_out = [
        (one["class_name"], left["images"], left["why"])
        for one in data["classes"]
        for left in one["left_out"]
    ]
    return [
        facts(title, shown),
        table("By rule", ("side", "images", "why"), rules),
        table(f"{len(classes)} classes, {trained} of them trained", columns, classes),
        table("Left out, class by class", ("class", "images", "why"), left_out),
    ]


def _explanation(data: Row, row: Row) -> Group:
    of = "a run that starts now" if data["model_version"] is None else f"model {data['model_version']}"
    side = row["side"] or "not in its snapshot"
    title = f"Image {row['image_id'][:SHORT_ID]} for {of}: {side}"
    before = [f"{one['version']} {one['side'] or 'not there'}" for one in row.get("ancestors", [])]
    shown = {"why": row["why"], "what would change it": row["change"]}
    if before:
        shown["in its ancestors"] = ", ".join(before)
    return facts(title, shown)


async def _summary(data_dir: Path | None, which: str, **numbers: Param) -> Row:
    from services.ops.clients.datasets import summary_of

    async with open_trainer(data_dir) as trainer:
        return await summary_of(trainer, which, **numbers)


async def _explain(data_dir: Path | None, which: str, images: list[str]) -> Row:
    from services.ops.clients.datasets import explained
    from services.ops.clients.selection import named_images, whole_ids

    async with open_trainer(data_dir) as trainer, open_ingest(data_dir) as library:
        whole = await whole_ids(library, named_images(images))
        return await explained(trainer, library, which, whole)
