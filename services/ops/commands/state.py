"""``menagerie status`` and ``menagerie watch``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.ops.clients.output import Output, facts, plain, share, table
from services.ops.commands.options import AsJson, DataDir
from services.ops.commands.session import find_stack, open_session, run

if TYPE_CHECKING:
    from rich.console import Group

DETAIL_FIELDS = (
    "file_name",
    "image_id",
    "label",
    "verdict",
    "code",
    "snapshot_id",
    "run_id",
    "epoch",
    "val_accuracy",
    "model_version",
    "page",
    "error",
)
ID_SHOWN = 12


def status(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Services, images, models and what is still on its way."""
    report, problems = run(_status(data_dir))
    output = Output(as_json)
    output.end(report, *status_tables(report))
    for problem in problems:
        output.warn(f"menagerie: {problem}")
    if problems:
        raise typer.Exit(1)


async def _status(data_dir: Path | None) -> tuple[dict[str, Any], list[str]]:
    from services.ops.clients.status import read_status

    return await read_status(find_stack(data_dir))


def status_tables(report: dict[str, Any]) -> list[Group]:
    """The report as tables."""
    waiting = {name: count for name, count in (report["backlog"] or {}).items() if count}
    overview = {
        "snapshots": len(report["snapshots"] or ()),
        "identified in bulk": (report["bulk"] or {}).get("identified"),
        "dead letters": report["dead_letters"],
        "on their way": sum(waiting.values()),
    }
    return [
        table("Services", ("service", "state"), report["services"].items()),
        facts("Images", report["images"] or {}),
        table(
            "Models",
            ("version", "state", "test accuracy", "gate"),
            [
                (row["version"], row["state"], share(row["test_accuracy"]), row["gate"])
                for row in report["models"] or ()
            ],
        ),
        *([training_table(report["training"])] if report["training"] else []),
        facts("Else", overview),
        *([table("Backlog", ("consumer", "messages"), waiting.items())] if waiting else []),
    ]


def training_table(runs: list[dict[str, Any]]) -> Group:
    """Runs that have not ended; of one that waits nothing is known yet."""
    rows = [
        (
            run["run_id"], run["network"],
            *(
                (
                    f"{epoch['epoch']} of {plain(epoch['epochs'])}", share(epoch["val_accuracy"]),
                    epoch["images_per_s"], share(epoch["data_wait_share"]), epoch["eta_s"], epoch["cost"],
                )
                if (epoch := run["epoch"])
                else ("waits", None, None, None, None, None)
            ),
        )
        for run in runs
    ]  # fmt: skip
    columns = ("run_id", "network", "epoch", "validation", "images/s", "data wait", "s left", "cost")
    return table("Training", columns, rows)


def watch(
    subject: Annotated[str, typer.Option("--subject", help="Only these, e.g. image or model.*")] = ">",
    count: Annotated[int | None, typer.Option("--count", min=1, help="Stop after so many.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show events as they happen; Ctrl-C ends it."""
    run(_watch(data_dir, Output(as_json), subject, count))


async def _watch(data_dir: Path | None, output: Output, subject: str, count: int | None) -> None:
    from contracts.subjects import SUBJECT_PREFIX

    wanted = subject.removeprefix(f"{SUBJECT_PREFIX}.").strip(".") or ">"
    if "." not in wanted and wanted != ">":
        wanted += ".>"
    async with open_session(data_dir) as session:
        seen = 0
        async for name, body in session.bus.follow(f"{SUBJECT_PREFIX}.{wanted}"):
            _show(output, name.removeprefix(f"{SUBJECT_PREFIX}."), body)
            seen += 1
            if seen == count:
                return


def _show(output: Output, name: str, body: bytes) -> None:
    from datetime import datetime

    try:
        fields = json.loads(body)
    except ValueError:
        fields = None
    if output.as_json:
        output.end({"event": name, "body": fields if fields is not None else body.decode("utf-8", "replace")})
        return
    known = fields if isinstance(fields, dict) else {"error": "not JSON"}
    details = "  ".join(
        f"{field}={plain(_short(field, known[field]))}"
        for field in DETAIL_FIELDS
        if known.get(field) is not None
    )
    output.say(f"{datetime.now().astimezone():%H:%M:%S}  {name:<26} {details}")


def _short(field: str, value: object) -> object:
    text = str(value)
    return text[:ID_SHOWN] if field.endswith("_id") else value
