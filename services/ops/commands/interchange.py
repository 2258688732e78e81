"""``menagerie import`` and ``menagerie export --format``: other tools' formats (docs/interchange.md)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.ops.clients.output import Output, facts
from services.ops.commands import filters
from services.ops.commands.options import (
    SOURCES,
    AsJson,
    By,
    DataDir,
    Timeout,
    Wait,
    person,
    source_named,
)
from services.ops.commands.session import find_stack, run

if TYPE_CHECKING:
    from services.ops.interchange.exporting import ExportPlan
    from services.ops.interchange.formats import Found
    from services.ops.interchange.importing import Account, Defaults

FORMATS = "imagefolder, csv, parquet, hf, label-studio or webdataset"
TOLD = 50
"""Problems told one by one to a person; ``--json`` has all."""


def import_(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", exists=True, help="A folder, a manifest or a tar shard.")
    ],
    format_name: Annotated[
        str, typer.Option("--format", help=f"auto, {FORMATS}.", show_default=True)
    ] = "auto",
    source: Annotated[
        str, typer.Option("--source", help=f"Where pictures come from that do not say it: {SOURCES}.")
    ] = "real",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read all of it and send nothing.")] = False,
    wait: Wait = True,
    timeout_s: Timeout = 600.0,
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Take in a data set of another tool. The same again adds nothing."""
    from services.ops.interchange.formats import find
    from services.ops.interchange.importing import Defaults, survey

    named = source_named(source)
    output = Output(as_json)
    found = find(path, format_name)
    output.say(f"{path} is {found.format.name}, {len(found.sources)} {_noun(found)}")
    if dry_run:
        account = survey(found)
    else:
        account = run(
            _import(data_dir, output, found, Defaults(named, person(by)), timeout_s if wait else None)
        )
    _tell(output, found, account, dry_run=dry_run)
    if account.problems:
        raise typer.Exit(1)


def _noun(found: Found) -> str:
    kind = "folder" if found.sources[0].is_dir() else "file"
    return kind if len(found.sources) == 1 else f"{kind}s"


async def _import(
    data_dir: Path | None, output: Output, found: Found, defaults: Defaults, timeout_s: float | None
) -> Account:
    from services.ops.clients.library import open_library
    from services.ops.clients.uploads import Uploader
    from services.ops.commands.progress import counting, waiting
    from services.ops.interchange.importing import follow, send

    stack = find_stack(data_dir)
    url = stack.urls["ingest"]
    async with open_library(url, stack.api_token) as library:
        uploader = Uploader(url, stack.api_token)
        with counting(output, "Importing", None) as advance:
            account = await send(found, uploader, defaults, advance)
        if timeout_s is not None:
            with waiting(output, "Waiting until every picture is settled"):
                await follow(library, account, timeout_s)
    return account


def _tell(output: Output, found: Found, account: Account, *, dry_run: bool) -> None:
    data: dict[str, Any] = {
        "format": found.format.name,
        "found": account.found,
        "labelled": account.labelled,
        "label_kinds": dict(sorted(account.kinds.items())),
        "labels": len(account.labels),
        "suggestions_ignored": account.suggestions,
        "dry_run": dry_run,
        "sent": len(account.sent),
        "accepted": account.outcomes["accepted"],
        "repeated": account.outcomes["repeated"],
        "rejected": account.outcomes["rejected"],
        "other_bytes": account.other_bytes,
        "problems": [{"where": where, "problem": problem} for where, problem in account.problems],
    }
    rows = {
        "entries found": account.found,
        "of them with a label": account.labelled,
        "different labels": len(account.labels),
        "suggestions of models, not taken in": account.suggestions or None,
        "sent": None if dry_run else len(account.sent),
        "new in the library": account.outcomes["accepted"] or None,
        "there already": account.outcomes["repeated"] or None,
        "not the bytes that image_id names": account.other_bytes or None,
        "refused": len(account.problems),
    }
    shown = {name: value for name, value in rows.items() if value is not None}
    output.end(data, facts("Import (nothing sent)" if dry_run else "Import", shown))
    for where, problem in account.problems[:TOLD]:
        output.warn(f"menagerie: {where}: {problem}")
    if len(account.problems) > TOLD:
        output.warn(f"menagerie: {len(account.problems) - TOLD} more were refused; --json lists them all")


def export_images(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder, or an empty one.")],
    format_name: Annotated[str, typer.Option("--format", help=f"{FORMATS}.")],
    pictures: Annotated[
        str, typer.Option("--pictures", help="original, normalised (square PNG) or none.")
    ] = "original",
    label_name: filters.Label = None,
    class_name: filters.ClassName = None,
    kind: filters.Kind = None,
    unlabelled: Annotated[
        bool | None, typer.Option("--unlabelled/--labelled", help="Without a label, or with one.")
    ] = None,
    flag: filters.Flags = None,
    source: filters.FromSource = None,
    guest: filters.Guest = None,
    visit: filters.Visit = None,
    tag: filters.Tag = None,
    benchmark: filters.Benchmark = None,
    verdict: filters.Verdict = None,
    double_check: filters.DoubleCheck = False,
    disagreement: filters.Disagreement = False,
    file: filters.FileText = None,
    upstream_id: filters.UpstreamId = None,
    shard_images: Annotated[
        int, typer.Option("--shard-images", min=1, help="Most images in a WebDataset shard.")
    ] = 10_000,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Write images with all that is known of them into a folder (also: `menagerie export --format`)."""
    from services.ops.clients.errors import OpsError
    from services.ops.interchange.exporting import PICTURES, ExportPlan
    from services.ops.interchange.formats import FORMATS as KNOWN

    if format_name not in KNOWN:
        raise OpsError(f"format {format_name!r} is not known: use {', '.join(KNOWN)}")
    if pictures not in PICTURES:
        raise OpsError(f"pictures {pictures!r} are not known: use {', '.join(PICTURES)}")
    plan = ExportPlan(out.expanduser().resolve(), KNOWN[format_name], pictures, shard_images)
    plan.check()
    query = filters.image_query(
        label_name=label_name, class_name=class_name, kind=kind, unlabelled=unlabelled, flag=flag,
        source=source, guest=guest, visit=visit, tag=tag, benchmark=benchmark, verdict=verdict,
        double_check=double_check, disagreement=disagreement, file=file, upstream_id=upstream_id,
    )  # fmt: skip
    output = Output(as_json)
    images = run(_export(data_dir, output, plan, query))
    data = {"format": format_name, "out": str(plan.out), "images": images, "pictures": pictures}
    output.end(data, facts("Export", data))


async def _export(data_dir: Path | None, output: Output, plan: ExportPlan, query: dict[str, Any]) -> int:
    from services.ops.clients.library import open_library
    from services.ops.commands.progress import counting, waiting
    from services.ops.interchange.exporting import export, list_records

    stack = find_stack(data_dir)
    async with open_library(stack.urls["ingest"], stack.api_token) as library:
        with waiting(output, "Listing"):
            records = await list_records(library, **query)
        with counting(output, "Exporting", len(records)) as advance:
            await export(library, plan, records, advance)
    return len(records)
