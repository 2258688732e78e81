"""``menagerie confused-pairs``: classes that are hard to tell apart, and what mixing them up costs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from services.ops.clients.output import Output, facts, moment, table
from services.ops.commands.labels import Reason
from services.ops.commands.options import AsJson, By, DataDir, person
from services.ops.commands.session import command_evaluator, read_evaluator, run

PAIRS = "/api/v1/confused-pairs"
One = Annotated[str, typer.Argument(metavar="CLASS", help="One class of the pair.")]
Other = Annotated[str, typer.Argument(metavar="CLASS", help="The other one; the order does not matter.")]


def group() -> typer.Typer:
    """The commands under ``menagerie confused-pairs``."""
    app = typer.Typer(
        help="Classes that are hard to tell apart: mixing them up costs less than another mistake.",
        no_args_is_help=True,
    )
    app.command(name="show")(show)
    app.command(name="set")(set_)
    app.command(name="remove")(remove)
    app.command(name="history")(history)
    return app


def show(
    version: Annotated[
        int | None, typer.Option("--version", min=0, help="As of that version; default: the newest.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List the pairs with their weights; a pair that is not listed costs 1."""
    data = run(read_evaluator(data_dir, PAIRS, version=version))
    rows = [(row["one"], row["other"], row["weight"]) for row in data["pairs"]]
    title = f"{len(rows)} confused pairs, version {data['version']}"
    Output(as_json).end(data, table(title, ("class", "taken for, or the other way", "weight"), rows))


def set_(
    one: One,
    other: Other,
    weight: Annotated[
        float, typer.Argument(help="From 0, it costs nothing, to 1, as any other mistake.", min=0, max=1)
    ],
    reason: Reason = None,
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Put a pair on the table, or give it another weight; reports from now on are made with it."""
    _change(data_dir, as_json, one=one, other=other, weight=weight, reason=reason, by=person(by))


def remove(
    one: One,
    other: Other,
    reason: Reason = None,
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Take a pair off the table: mixing it up costs as much as any other mistake."""
    _change(data_dir, as_json, one=one, other=other, weight=None, reason=reason, by=person(by))


def _change(data_dir: Path | None, as_json: bool, **fields: Any) -> None:
    done = run(command_evaluator(data_dir, "class.set-confused", **fields))
    shown = {
        "pair": f"{done['one']} and {done['other']}",
        "weight": "off the table" if done["weight"] is None else done["weight"],
        "version": done["version"],
        "to see what it changes": "menagerie evaluate",
    }
    Output(as_json).end(done, facts("Confused pairs", shown))


def history(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Who changed the table, when and why; the newest first."""
    data = run(read_evaluator(data_dir, f"{PAIRS}/changes"))
    rows = [
        (
            row["version"],
            row["one"],
            row["other"],
            row["previous_weight"],
            row["weight"],
            row["by"],
            moment(row["changed_at"]),
            row["reason"],
        )
        for row in data["changes"]
    ]
    columns = ("version", "class", "other", "before", "weight", "by", "at", "why")
    Output(as_json).end(data, table(f"{len(rows)} changes", columns, rows))
