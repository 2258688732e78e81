"""``menagerie taxonomy``: which sub-classes are trained as one class; every change makes a version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.ops.clients.output import Output, facts, moment, plain, table
from services.ops.commands.labels import Reason
from services.ops.commands.options import AsJson, By, DataDir, person
from services.ops.commands.session import command_ingest, read_ingest, run

if TYPE_CHECKING:
    from rich.console import Group

PATH = "/api/v1/taxonomy"
Version = Annotated[
    int | None, typer.Option("--version", min=0, help="As of this version; default: the newest.")
]


def show(version: Version = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """The merged classes with their members."""
    data = run(_taxonomy(data_dir, version))
    rows = [(one["class_name"], ", ".join(map(plain, one["members"]))) for one in data["merged"]]
    title = f"Version {data['version']}: {len(rows)} merged classes; every other label is its own class"
    Output(as_json).end(data, table(title, ("class", "members"), rows))


def history(version: Version = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Every change there was, the newest last."""
    data = run(_taxonomy(data_dir, version))
    rows = [
        (one["version"], _sentence(one["change"]), one["undoes"], one["by"], moment(one["at"]), one["reason"])
        for one in data["operations"]
    ]
    columns = ("version", "change", "undoes", "by", "at", "reason")
    Output(as_json).end(data, table(f"{len(rows)} versions", columns, rows))


def merge(
    members: Annotated[
        list[str],
        typer.Argument(
            metavar="MEMBER...",
            help="Sub-classes, each with all below it, or merged classes.",
            show_default=False,
        ),
    ],
    into: Annotated[str, typer.Option("--into", help="What the class is called.")],
    reason: Reason = None,
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Train sub-classes as one class. Labels stay as they are."""
    _change(data_dir, as_json, "class.merge", by, into=into, members=members, reason=reason)


def split(
    name: Annotated[str, typer.Argument(metavar="CLASS", help="A merged class.")],
    reason: Reason = None,
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Take a merged class apart; all its images go to double-check."""
    _change(data_dir, as_json, "class.split", by, class_name=name, reason=reason)


def rename(
    old: Annotated[str, typer.Argument(metavar="OLD", help="A sub-class or class; all below it moves too.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="A name that nothing has.")],
    reason: Reason = None,
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Rename a sub-class and all below it; uploads that still say the old name get the new one."""
    _change(data_dir, as_json, "class.rename", by, old=old, new=new, reason=reason)


def undo(
    version: Annotated[
        int | None,
        typer.Option("--version", min=1, help="The newest one as you saw it; default: the newest."),
    ] = None,
    reason: Reason = None,
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Reverse the newest change by another one."""
    newest = version or run(_taxonomy(data_dir, None))["version"] or 1
    _change(data_dir, as_json, "class.undo", by, version=newest, reason=reason)


def _change(data_dir: Path | None, as_json: bool, name: str, by: str | None, **fields: Any) -> None:
    done = run(command_ingest(data_dir, name, **fields, by=person(by)))
    Output(as_json).end(done, _changed(done))


def _changed(done: dict[str, Any]) -> Group:
    shown = {
        "change": _sentence(done["change"]),
        "version": done["version"],
        "images concerned": done["images"],
        "to take it back": "menagerie taxonomy undo",
        "to train with it": "menagerie snapshot, menagerie train",
    }
    return facts("Taxonomy changed", shown)


def _sentence(change: dict[str, Any]) -> str:
    match change:
        case {"kind": "merge", "into": into, "members": members}:
            return f"{' + '.join(map(plain, members))} trained as {plain(into)}"
        case {"kind": "split", "class_name": name}:
            return f"{plain(name)} taken apart"
        case {"kind": "rename", "old": old, "new": new}:
            return f"{plain(old)} is now {plain(new)}"
        case _:  # of a newer ingest
            return plain(change)


async def _taxonomy(data_dir: Path | None, version: int | None) -> dict[str, Any]:
    return await read_ingest(data_dir, PATH if version is None else f"{PATH}/{version}")
