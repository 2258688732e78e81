"""``menagerie search`` looks for good options, ``searches`` and ``search-report`` show what was found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.ops.clients.output import Output, facts, moment, plain, share, table
from services.ops.commands.options import AsJson, By, DataDir, Timeout, Wait, given, person
from services.ops.commands.session import Session, find_stack, open_session, run

if TYPE_CHECKING:
    from rich.console import Group

    from contracts.commands import RequestSearch

WEEK_S = 7 * 86_400.0
SearchId = Annotated[str, typer.Argument(metavar="SEARCH", help="As `menagerie searches` lists it.")]


def search(
    space: Annotated[
        list[str] | None,
        typer.Option(
            "--space",
            help="An option and its values: learning_rate=1e-4:1e-2:log, dropout=0:0.5:0.1 (in steps), "
            "batch_size=16,32,64; again for each option.",
        ),
    ] = None,
    from_file: Annotated[
        Path | None,
        typer.Option(
            "--from-file", exists=True, dir_okay=False, help="The space, or a whole search, as JSON."
        ),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", "--set", help="An option of all trials: epochs=10; again for each."),
    ] = None,
    base: Annotated[
        str | None, typer.Option("--base", help="newest (fine-tune), scratch, or a model version.")
    ] = None,
    snapshot: Annotated[
        str | None, typer.Option("--snapshot", help="Snapshot id; default: the newest.")
    ] = None,
    method: Annotated[str | None, typer.Option("--method", help="bayesian, random or grid.")] = None,
    trials: Annotated[int | None, typer.Option("--trials", min=1, max=1000, help="At most so many.")] = None,
    parallel: Annotated[
        int | None, typer.Option("--parallel", min=1, max=64, help="Trials at once: as many as trainers.")
    ] = None,
    prune: Annotated[
        bool | None, typer.Option("--prune/--no-prune", help="Stop trials that are below the others' median.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of what is tried.")] = None,
    minimum_per_class: Annotated[
        int | None, typer.Option("--minimum-per-class", min=1, help="Classes with fewer are left out.")
    ] = None,
    maximum_per_class: Annotated[
        int | None, typer.Option("--maximum-per-class", min=1, help="What is over goes to the test set.")
    ] = None,
    taxonomy_version: Annotated[
        int | None,
        typer.Option("--taxonomy-version", min=0, help="Classes of this version; default: the snapshot's."),
    ] = None,
    wait: Wait = True,
    timeout_s: Timeout = WEEK_S,
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Look for good options: train trials, show which did best; Ctrl-C leaves it running."""
    from services.ops.clients.errors import OpsError
    from services.ops.clients.spaces import read_space_file, read_spaces
    from services.ops.clients.training_request import check_option, merged, read_options

    rules = {"minimum_per_class": minimum_per_class, "maximum_per_class": maximum_per_class}
    own = given(
        snapshot_id=snapshot, base=base, method=method, trials=trials, parallel=parallel, prune=prune,
        seed=seed, taxonomy_version=taxonomy_version,
    )  # fmt: skip
    fields = merged(read_space_file(from_file) if from_file else {}, {"rules": given(**rules)}, own)
    fields = merged(fields, {"options": read_options(option or ())})
    # Whole: a list of values takes the place of a range, it does not go into it.
    fields["space"] = (fields.get("space") or {}) | read_spaces(space or ())
    if not fields["space"]:
        raise OpsError("a search needs something to try: give --space or --from-file")
    for name in fields["space"]:
        check_option(name, "the space")
    run(_search(data_dir, Output(as_json), fields, person(by), timeout_s if wait else None))


async def _search(
    data_dir: Path | None, output: Output, fields: dict[str, Any], by: str, timeout_s: float | None
) -> None:
    from services.ops.clients.following import newest_snapshot
    from services.ops.clients.requests import request_search

    async with open_session(data_dir) as session:
        if not fields.get("snapshot_id"):
            fields["snapshot_id"] = (await newest_snapshot(session.reporter))["snapshot_id"]
        request = request_search(by, **fields)
        await session.bus.request(request)
        if timeout_s is None:
            data = {"search_id": request.search_id, "snapshot_id": request.snapshot_id}
            output.end(data, facts("Search requested; `menagerie searches` shows how it stands", data))
            return
        await _follow(session, output, request, timeout_s)


async def _follow(session: Session, output: Output, request: RequestSearch, timeout_s: float) -> None:
    from services.ops.clients.errors import OpsError
    from services.ops.clients.searches import finished_search
    from services.ops.commands.search_progress import showing

    output.say(f"Search {request.search_id} on snapshot {request.snapshot_id}; Ctrl-C leaves it running")
    with showing(output) as show:
        found = await finished_search(session.reporter, request, timeout_s, show)
    if found["state"] == "failed":
        raise OpsError(f"search {request.search_id} failed: {found['error']}: {found['remedy']}")
    output.end(found, *_told(found))


def searches(
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many.")] = 50,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List the searches, the newest first."""
    rows = run(_searches(data_dir, limit))
    shown = [
        (
            row["search_id"], row["state"],
            f"{sum(row['counts'].values())} of {plain(row['trials_planned'])}",
            row["counts"].get("running", 0), share(row["best_validation_accuracy"]),
            moment(row["requested_at"]),
        )
        for row in rows
    ]  # fmt: skip
    columns = ("id", "state", "trials", "running", "best", "asked")
    Output(as_json).end({"searches": rows}, table(f"{len(rows)} searches", columns, shown))


async def _searches(data_dir: Path | None, limit: int) -> list[dict[str, Any]]:
    from services.ops.clients.reads import open_reporter

    stack = find_stack(data_dir)
    async with open_reporter(stack.urls["reporter"], stack.api_token) as reporter:
        found: list[dict[str, Any]] = (await reporter.get("/api/v1/searches", limit=limit))["searches"]
    return found


def search_report(
    search_id: SearchId,
    output_dir: Annotated[
        Path | None,
        typer.Option("--output", file_okay=False, help="Save the report's files there; default: search-ID."),
    ] = None,
    best: Annotated[
        bool, typer.Option("--best", help="Print the best request as JSON, and save nothing.")
    ] = False,
    show: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Save a search's report: page.html, report.json, best.json for `menagerie train --from-file`."""
    run(_report(data_dir, Output(as_json or best), search_id, output_dir, best, show))


async def _report(
    data_dir: Path | None, output: Output, search_id: str, folder: Path | None, best: bool, show: bool
) -> None:
    from services.ops.clients.errors import OpsError
    from services.ops.clients.reads import open_reporter
    from services.ops.clients.searches import one_search, report_of

    stack = find_stack(data_dir)
    async with open_reporter(stack.urls["reporter"], stack.api_token) as reporter:
        found = await one_search(reporter, search_id)
        files = await report_of(reporter, found)
    if best:
        if "best.json" not in files:
            raise OpsError(f"no trial of search {search_id} came to its end")
        output.end(json.loads(files["best.json"]))
        return
    folder = folder or Path(f"search-{search_id}")
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    saved = {name: str(folder / name) for name in files}
    output.end(found | {"files": saved}, *_told(found), facts("Saved", saved))
    if show:
        import webbrowser

        webbrowser.open((folder / "page.html").resolve().as_uri())


def _told(search: dict[str, Any]) -> list[Group]:
    from services.ops.clients.searches import standing

    now = standing(search)
    counts = ", ".join(f"{count} {state}" for state, count in now["counts"].items()) or "none"
    shown = {
        "search": search["search_id"],
        "state": search["state"],
        "trials": counts,
        "best validation accuracy": share(search["best_validation_accuracy"]),
    }
    groups = [facts("Search", shown)]
    if now["best"] is not None:
        groups.append(facts(f"Best: trial {now['best']['number']}", now["best"]["chosen"]))
        remark = {"report": f"menagerie search-report {search['search_id']}"}
        groups.append(facts("Next", remark | {"train": "menagerie train --from-file best.json"}))
    return groups
