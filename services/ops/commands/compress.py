"""``menagerie compress``: smaller variants of a model, measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.ops.clients.output import Output, facts, share, table
from services.ops.commands.options import AsJson, By, DataDir, Timeout, Wait, person
from services.ops.commands.session import open_session, run

if TYPE_CHECKING:
    from rich.console import Group

DAY_S = 86_400.0
KIB = 1024


def compress(
    version: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="Version such as 002; default: the newest.")
    ] = None,
    float16: Annotated[bool, typer.Option("--float16/--no-float16", help="Half the size.")] = True,
    dynamic_range: Annotated[
        bool, typer.Option("--dynamic-range/--no-dynamic-range", help="Weights of 8 bits.")
    ] = True,
    int8: Annotated[
        bool, typer.Option("--int8/--no-int8", help="8 bits throughout, calibrated on training images.")
    ] = True,
    prune: Annotated[
        float,
        typer.Option(
            "--prune", min=0, max=0.99, help="Share of weights set to 0 while fine-tuning; 0: none."
        ),
    ] = 0.0,
    prune_epochs: Annotated[
        int, typer.Option("--prune-epochs", min=1, max=100, help="Passes over the training images.")
    ] = 3,
    wait: Wait = True,
    timeout_s: Timeout = DAY_S,
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make smaller variants of a model, and measure what they cost on its test images."""
    options = {
        "float16": float16, "dynamic_range": dynamic_range, "int8": int8, "prune_share": prune,
        "prune_epochs": prune_epochs,
    }  # fmt: skip
    run(_compress(data_dir, Output(as_json), version, person(by), options, timeout_s if wait else None))


async def _compress(
    data_dir: Path | None,
    output: Output,
    version: str | None,
    by: str,
    options: dict[str, Any],
    timeout_s: float | None,
) -> None:
    from services.ops.clients.following import answered, chosen_model
    from services.ops.clients.requests import request_compression
    from services.ops.commands.progress import waiting

    async with open_session(data_dir) as session:
        chosen = (await chosen_model(session.reporter, version))["version"]
        request = request_compression(chosen, by, options)
        await session.bus.request(request)
        if timeout_s is None:
            sent = {"request_id": request.request_id, "model_version": chosen}
            output.end(sent, facts("Compression requested", sent))
            return

        async def read() -> dict[str, Any] | None:
            found = await session.reporter.get(f"/api/v1/models/{chosen}/variants") or {"variants": []}
            rows = [row for row in found["variants"] if row["request_id"] == request.request_id]
            return {"model_version": chosen, "variants": rows} if rows else None

        with waiting(output, f"Compressing model {chosen}"):
            told = await answered(
                session.reporter, read, what=f"the compression of model {chosen}", timeout_s=timeout_s,
                request=request, every_s=1.0,
            )  # fmt: skip
    output.end(told, *variant_tables(told))


def variant_tables(told: dict[str, Any]) -> list[Group]:
    """What each variant saves and costs, beside the whole model."""
    rows = told["variants"]
    first = rows[0]
    shown = {
        "measured on": f"{first['measured_images']} {first['measured_on']} images",
        "accuracy of the whole model": share(first["whole_accuracy"]),
    }
    if first["measured_on"] != "test":
        shown["note"] = "the model has no test image: figures of a side that chose its weights flatter"
    columns = (
        "variant",
        "KiB",
        "of the whole",
        "accuracy",
        "change",
        "same answer",
        "images/s",
        "speed",
        "note",
    )
    lines = [
        (
            row["variant_name"], round(row["size_bytes"] / KIB), share(row["size_ratio"]),
            share(row["accuracy"]), f"{100 * row['accuracy_delta']:+.1f} %", share(row["agreement"]),
            round(row["images_per_s"], 1), f"{row['speed_ratio']:.2f} x", row["note"],
        )
        for row in rows
    ]  # fmt: skip
    files = [(row["variant_name"], f"models/{row['file_key']}") for row in rows]
    return [
        facts(f"Model {told['model_version']}, compressed", shown),
        table("Variants", columns, lines),
        table("Files", ("variant", "object"), files),
    ]
