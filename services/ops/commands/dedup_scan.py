"""``menagerie dedup scan``: duplicates in a folder of pictures. It needs no stack and changes no picture."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from services.ops.clients.output import Output, facts, table
from services.ops.commands.options import AsJson
from services.ops.commands.session import run

TOLD = 10
"""Groups, pairs and unreadable files on a terminal; --report and --json have all."""
STAGES = {"starting": "Starting", "reading": "Reading", "comparing": "Comparing", "drawing": "Drawing"}


def scan(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Looked through with all folders below it.")
    ],
    distance: Annotated[
        int | None,
        typer.Option(
            "--distance",
            min=0,
            max=120,
            help="Bits of 256 that sure copies may differ by: 72.",
        ),
    ] = None,
    turned: Annotated[
        bool, typer.Option("--turned/--no-turned", help="Find mirrored and turned copies, too.")
    ] = True,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="OUT.json|csv", help="Write all that was found.")
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", metavar="OUT.html", help="Write the pairs to look at.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, max=256, help="Processes; one a processor if not given.")
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option("--cache", metavar="FILE", help="Remembers what was read; in the user's cache folder."),
    ] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Read everything, remember nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Find duplicates in a folder of pictures: the same, nearly the same, mirrored or turned."""
    from services.ops.clients.folder_scan import Request, default_cache, scan_folder
    from services.runtime.logs import configure_logs

    configure_logs("WARNING")
    output = Output(as_json)
    kept = None if no_cache else cache or default_cache()
    asked = Request(folder, kept, distance, turned, workers, report, sheet)
    started = time.monotonic()
    with _following(output) as follow:
        made, said = run(scan_folder(asked, follow))
    seconds = time.monotonic() - started
    data = {"seconds": round(seconds, 3), "images_per_s": round(said["images"] / seconds, 1)}
    data["remembered"] = said["remembered"]
    counted = facts(f"Scan of {folder}", _counted(said, data))
    output.end({**made, **data}, counted, *_found(made))
    _say_where(output, made, report, sheet)


@contextmanager
def _following(output: Output) -> Iterator[Callable[[dict[str, Any]], Awaitable[None]]]:
    """A bar that follows what the scan tells."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=output.console, transient=True) as progress:
        task = progress.add_task(STAGES["starting"], total=None)

        async def follow(told: dict[str, Any]) -> None:
            progress.update(
                task, description=STAGES[told["stage"]], completed=told["done"], total=told["total"]
            )

        yield follow


def _counted(said: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    shown = {
        "images": said["images"],
        "of them of one colour, compared by their pixels only": said["flat"] or None,
        "unreadable": said["unreadable"],
        "files that are no pictures": said["other_files"] or None,
        "links, not followed": said["links"] or None,
        "groups of the same pictures": said["exact_groups"],
        "copies in them": said["exact_copies"],
        "groups of near copies": said["near_groups"],
        "copies in these": said["near_copies"],
        "pairs to review": said["review_pairs"],
        "known from an earlier scan": data["remembered"] or None,
        "seconds": round(data["seconds"], 1),
        "images/s": round(data["images_per_s"]),
    }
    return {name: value for name, value in shown.items() if value is not None}


def _found(made: dict[str, Any]) -> Iterator[Any]:
    """What a person looks at first: some of each kind that there is."""
    for kind, title in (("exact", "The same pictures"), ("near", "Near copies")):
        rows = [
            (group["keep"]["file"], copy["file"], copy.get("same") or f"{copy['distance_bits']} bits")
            for group in made[kind]
            for copy in group["copies"]
        ]
        if rows:
            yield table(_cut(title, rows), ("keep", "copy", "alike"), rows[:TOLD])
    rows = [
        (pair["keep"]["file"], pair["other"]["file"], f"{pair['distance_bits']} bits")
        for pair in made["review"]
    ]
    if rows:
        yield table(_cut("Pairs to review", rows), ("keep", "other", "alike"), rows[:TOLD])
    bad = [(row["file"], row["reason"]) for row in made["unreadable"]]
    if bad:
        yield table(_cut("Unreadable", bad), ("file", "reason"), bad[:TOLD])


def _cut(title: str, rows: list[Any]) -> str:
    return title if len(rows) <= TOLD else f"{title} ({TOLD} of {len(rows)})"


def _say_where(output: Output, made: dict[str, Any], report: Path | None, sheet: Path | None) -> None:
    for file in (report, sheet):
        if file is not None:
            output.say(f"written: {file}")
    cut = any(len(made[kind]) > TOLD for kind in ("exact", "near", "review", "unreadable"))
    if cut and report is None and not output.as_json:
        output.say("all of it: --report OUT.json, or --sheet OUT.html to look at the pairs")
