"""Commands on the image library: upload, label, images, snapshot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.ops.clients.output import Output, facts, table
from services.ops.commands.options import AsJson, By, DataDir, Timeout, Wait, person
from services.ops.commands.session import find_stack, open_session, run

if TYPE_CHECKING:
    from services.ops.clients.plan import UploadPlan
    from services.ops.clients.uploads import UploadOutcome

SOURCES = "real, staged or synthetic"


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
    patience_s: Annotated[
        float,
        typer.Option("--patience-s", min=1, help="How long to wait for a server that is away, in seconds."),
    ] = 120.0,
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Upload pictures; folder names or a labels.csv (file,label[,source,guest,taken_at]) give the labels."""
    from services.ops.clients.plan import UploadRules, plan_uploads
    from services.ops.clients.ulid import UlidSource

    output = Output(as_json)
    rules = UploadRules(_source(source), benchmark, unlabelled_fraction, person(by))
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


def _source(text: str) -> Any:
    from contracts.values import Source

    try:
        return Source(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not one of {SOURCES}", param_hint="--source") from error


async def _upload(
    data_dir: Path | None, output: Output, plan: UploadPlan, patience_s: float
) -> UploadOutcome:
    from services.ops.clients.uploads import Uploader
    from services.ops.commands.progress import counting

    stack = find_stack(data_dir)
    uploader = Uploader(stack.urls["ingest"], stack.api_token, patience_s)
    with counting(output, "Uploading", len(plan.files)) as advance:
        return await uploader.upload(plan.files, advance)


def label(
    image_id: Annotated[str, typer.Argument(metavar="IMAGE", help="The image's id (64 hex digits).")],
    name: Annotated[str, typer.Argument(metavar="LABEL", help="Its label; / between levels.")],
    kind: Annotated[
        str | None, typer.Option("--kind", help="class or unknown; default: told by the label.")
    ] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why, as recorded.")] = None,
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Give an image a label, or another one."""
    from services.ops.clients.requests import assign_label

    request = assign_label(image_id, name, kind, person(by), reason)
    run(_send(data_dir, request))
    data = {"request_id": request.request_id, "image_id": request.image_id, "label": request.label}
    Output(as_json).end(data, facts("Label sent", data))


async def _send(data_dir: Path | None, message: Any) -> None:
    async with open_session(data_dir) as session:
        await session.bus.request(message)


def images(
    label_name: Annotated[str | None, typer.Option("--label", help="With this label.")] = None,
    unlabelled: Annotated[bool, typer.Option("--unlabelled", help="Without a label.")] = False,
    verdict: Annotated[str | None, typer.Option("--verdict", help="unique or near (duplicate).")] = None,
    source: Annotated[str | None, typer.Option("--source", help=SOURCES + ".")] = None,
    benchmark: Annotated[str | None, typer.Option("--benchmark", help="In this benchmark set.")] = None,
    file: Annotated[str | None, typer.Option("--file", help="With this text in the file name.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1_000_000, help="At most so many.")] = 50,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Query the library."""
    query = {
        "label": label_name,
        "unlabelled": "true" if unlabelled else None,
        "verdict": verdict,
        "source": source,
        "benchmark": benchmark,
        "file": file,
    }
    rows = run(_images(data_dir, limit, query))
    columns = ("image_id", "file_name", "label", "source", "verdict", "benchmark")
    shown = [tuple(row.get(name) for name in columns) for row in rows]
    Output(as_json).end({"images": rows}, table(f"{len(rows)} images", columns, shown))


async def _images(data_dir: Path | None, limit: int, query: dict[str, str | None]) -> list[dict[str, Any]]:
    from services.ops.clients.reads import open_reporter

    stack = find_stack(data_dir)
    async with open_reporter(stack.urls["reporter"], stack.api_token) as reporter:
        return [row async for row in reporter.rows("/api/v1/images", "images", limit=limit, **query)]


def snapshot(
    wait: Wait = True,
    timeout_s: Timeout = 600.0,
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Pack the library as it is now, ready to train on."""
    run(_snapshot(data_dir, Output(as_json), wait, timeout_s, person(by)))


async def _snapshot(data_dir: Path | None, output: Output, wait: bool, timeout_s: float, by: str) -> None:
    from services.ops.clients.following import packed_snapshot
    from services.ops.clients.requests import request_snapshot
    from services.ops.commands.progress import waiting

    request = request_snapshot(by)
    async with open_session(data_dir) as session:
        await session.bus.request(request)
        if not wait:
            data: dict[str, Any] = {"request_id": request.request_id}
        else:
            with waiting(output, "Packing the library"):
                data = await packed_snapshot(session.reporter, request, timeout_s)
    output.end(data, facts("Snapshot", data))
