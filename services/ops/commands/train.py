"""``menagerie train``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.ops.clients.output import Output, epoch_line, facts, share
from services.ops.commands.options import AsJson, By, DataDir, Timeout, Wait, person
from services.ops.commands.session import Session, open_session, run

if TYPE_CHECKING:
    from contracts.commands import RequestTraining

DAY_S = 86_400.0


def train(
    base: Annotated[
        str, typer.Option("--base", help="newest (fine-tune), scratch, or a model version.")
    ] = "newest",
    snapshot: Annotated[
        str | None, typer.Option("--snapshot", help="Snapshot id; default: the newest.")
    ] = None,
    network: Annotated[str | None, typer.Option("--network", help="Network by name.")] = None,
    epochs: Annotated[
        int | None, typer.Option("--epochs", min=1, max=1000, help="Passes over the images.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", min=1, max=4096, help="Images per step.")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", help="Step size, up to 1.")
    ] = None,
    patience_epochs: Annotated[
        int | None,
        typer.Option("--patience-epochs", min=0, help="Stop after so many without progress; 0: never."),
    ] = None,
    flip: Annotated[bool | None, typer.Option("--flip/--no-flip", help="Mirror left and right.")] = None,
    rotate_degrees: Annotated[
        float | None, typer.Option("--rotate-degrees", min=0, max=45, help="Up to.")
    ] = None,
    zoom_share: Annotated[
        float | None, typer.Option("--zoom-share", min=0, max=0.5, help="In and out, up to.")
    ] = None,
    shift_share: Annotated[
        float | None, typer.Option("--shift-share", min=0, max=0.5, help="Any way, up to.")
    ] = None,
    schedule: Annotated[
        str | None, typer.Option("--schedule", help="Learning rate over the run: constant or cosine.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of all random choices.")] = None,
    minimum_per_class: Annotated[
        int | None, typer.Option("--minimum-per-class", min=1, help="Classes with fewer are left out.")
    ] = None,
    maximum_per_class: Annotated[
        int | None, typer.Option("--maximum-per-class", min=1, help="What is over goes to the test set.")
    ] = None,
    staged_cap: Annotated[
        int | None, typer.Option("--staged-cap", min=0, help="Staged and synthetic images fill up to this.")
    ] = None,
    taxonomy_version: Annotated[
        int | None,
        typer.Option("--taxonomy-version", min=0, help="Classes of this version; default: the snapshot's."),
    ] = None,
    throw_away: Annotated[
        bool, typer.Option("--throw-away", help="Only to find more images; never exported.")
    ] = False,
    trial: Annotated[bool, typer.Option("--trial", help="For comparison; registers no model.")] = False,
    wait: Wait = False,
    timeout_s: Timeout = DAY_S,
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Train a model on a snapshot; --wait shows its epochs."""
    options = _given(
        network=network,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        flip=flip,
        patience_epochs=patience_epochs,
        rotate_degrees=rotate_degrees,
        zoom_share=zoom_share,
        shift_share=shift_share,
        schedule=schedule,
        seed=seed,
    )
    rules = _given(
        minimum_per_class=minimum_per_class, maximum_per_class=maximum_per_class, staged_cap=staged_cap
    )
    fields = {"base": base, "options": options, "rules": rules, "throw_away": throw_away, "trial": trial}
    fields |= {"taxonomy_version": taxonomy_version}
    run(_train(data_dir, Output(as_json), snapshot, person(by), fields, timeout_s if wait else None))


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


async def _train(
    data_dir: Path | None,
    output: Output,
    snapshot: str | None,
    by: str,
    fields: dict[str, Any],
    timeout_s: float | None,
) -> None:
    from services.ops.clients.following import newest_snapshot
    from services.ops.clients.requests import request_training
    from services.ops.clients.undecided import undecided_pairs

    async with open_session(data_dir) as session:
        snapshot_id = snapshot or (await newest_snapshot(session.reporter))["snapshot_id"]
        request = request_training(snapshot_id, by, **fields)
        undecided = await undecided_pairs(session.reporter)
        await session.bus.request(request)
        if undecided:
            output.warn(undecided)
        if timeout_s is None:
            data: dict[str, Any] = {"run_id": request.run_id, "snapshot_id": snapshot_id}
            output.end(data, facts("Training requested; `menagerie watch` follows it", data))
            return
        await _follow(session, output, request, timeout_s)


async def _follow(session: Session, output: Output, request: RequestTraining, timeout_s: float) -> None:
    from services.ops.clients.errors import OpsError
    from services.ops.clients.following import failure_of, finished_run

    output.say(f"Run {request.run_id} on snapshot {request.snapshot_id}; Ctrl-C leaves it running")
    found = await finished_run(
        session.reporter, request, timeout_s, lambda epoch: output.say(epoch_line(epoch))
    )
    failure = failure_of(found)
    if failure:
        raise OpsError(f"run {request.run_id} failed: {failure}")
    outcome = found["outcome"]
    shown = {
        "run": request.run_id,
        "snapshot": request.snapshot_id,
        "model": outcome["model_version"],
        "epochs": outcome["epochs_run"],
        "best epoch": outcome["best_epoch"],
        "best validation accuracy": share(outcome["best_val_accuracy"]),
    }
    output.end(found, facts("Training ended", shown))
