"""Ways into the image library: upload, reconcile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.ops.clients.output import Output, facts
from services.ops.commands.options import SOURCES, AsJson, By, DataDir, person, source_named
from services.ops.commands.session import command_ingest, find_stack, run

if TYPE_CHECKING:
    from services.ops.clients.plan import UploadPlan
    from services.ops.clients.uploads import UploadOutcome


def upload(
    paths: Annotated[
        list[Path], typer.Argument(metavar="DIR|FILE...", exists=True, help="Folders or files.")
    ],
    source: Annotated[
        str, typer.Option("--source", help=f"Where the pictures come from: {SOURCES}.")
    ] = "real",
    unlabelled_fraction: Annotated[
        float, typer.Option("--unlabelled-fraction", min=0, max=1, help="Keep back this share of the labels.")
    ] = 0.0,
    benchmark: Annotated[
        str | None,
        typer.Option("--benchmark", help="Put the pictures into this benchmark set, never trained on."),
    ] = None,
    guest: Annotated[
        str | None, typer.Option("--guest", help="Who took them; pictures of one guest stay together.")
    ] = None,
    visit: Annotated[str | None, typer.Option("--visit", help="On which visit they were taken.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="A tag for all of them; repeatable.")] = None,
    patience_s: Annotated[
        float,
        typer.Option("--patience-s", min=1, help="How long to wait for a server that is away, in seconds."),
    ] = 120.0,
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Upload pictures; folder names or a labels.csv (file,label,... docs/interchange.md) give the labels."""
    from services.ops.clients.labels import checked_tags
    from services.ops.clients.plan import UploadRules, plan_uploads
    from services.ops.clients.ulid import UlidSource

    output = Output(as_json)
    tags = checked_tags(tuple(dict.fromkeys(tag or ())), "--tag")
    rules = UploadRules(
        source_named(source), benchmark, unlabelled_fraction, person(by), guest=guest, visit=visit, tags=tags
    )
    plan = plan_uploads(paths, rules, UlidSource())
    for name in plan.missing:
        output.warn(f"labels.csv names {name!r}, which is not in the folder")
    outcome = run(_upload(data_dir, output, plan, patience_s))
    received = outcome.received
    names = {file.upload_id: file.file_name for file in plan.files}
    data = {
        "uploaded": len(received),
        "labelled": sum(file.label is not None for file in plan.files),
        "images": len(set(received.values())),
        "missing": list(plan.missing),
        "uploads": [
            {"upload_id": file.upload_id, "file": file.file_name, "image_id": received[file.upload_id]}
            for file in plan.files
            if file.upload_id in received
        ],
        "refused": [
            {"file": names[upload_id], "reason": reason} for upload_id, reason in outcome.refused.items()
        ],
    }
    shown = {
        "files taken": data["uploaded"],
        "of them with a label": data["labelled"],
        "different contents": data["images"],
        "what became of them": "menagerie status",
    }
    output.end(data, facts("Upload", shown))
    for upload_id, reason in outcome.refused.items():
        output.warn(f"menagerie: {names[upload_id]!r} was refused ({reason})")
    if outcome.refused:
        raise typer.Exit(1)


async def _upload(
    data_dir: Path | None, output: Output, plan: UploadPlan, patience_s: float
) -> UploadOutcome:
    from services.ops.clients.uploads import Uploader
    from services.ops.commands.progress import counting

    stack = find_stack(data_dir)
    uploader = Uploader(stack.urls["ingest"], stack.api_token, patience_s)
    with counting(output, "Uploading", len(plan.files)) as advance:
        return await uploader.upload(plan.files, advance)


def reconcile(by: By = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Take in what lies in the drop bucket and was never announced."""
    data = run(command_ingest(data_dir, "library.reconcile-requested", by=person(by)))
    shown = {"request": data["request_id"], "what comes of it": "menagerie status, menagerie watch"}
    Output(as_json).end(data, facts("Reconciling is queued", shown))
