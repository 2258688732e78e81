"""``menagerie train`` and ``menagerie cancel``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.ops.clients.output import Output, facts, plain, share
from services.ops.commands.options import AsJson, By, DataDir, Timeout, Wait, given, person
from services.ops.commands.session import Session, open_session, run

if TYPE_CHECKING:
    from contracts.commands import RequestTraining

DAY_S = 86_400.0
CANCEL_TIMEOUT_S = 120.0
Whole = int | None
Real = float | None
Text = str | None


def train(
    base: Annotated[
        Text, typer.Option("--base", help="newest (fine-tune, the default), scratch, or a model version.")
    ] = None,
    snapshot: Annotated[Text, typer.Option("--snapshot", help="Snapshot id; default: the newest.")] = None,
    from_file: Annotated[
        Path | None,
        typer.Option("--from-file", exists=True, dir_okay=False, help="A request, or its options, as JSON."),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option", "--set", help="Any option of training: label_smoothing=0.1; again for each."
        ),
    ] = None,
    network: Annotated[
        Text, typer.Option("--network", help="small_cnn, efficientnet_lite0, inception_v4, or of Keras.")
    ] = None,
    weights: Annotated[Text, typer.Option("--weights", help="Without a base: random or imagenet.")] = None,
    epochs: Annotated[
        Whole, typer.Option("--epochs", min=1, max=1000, help="Passes over the images.")
    ] = None,
    batch_size: Annotated[
        Whole, typer.Option("--batch-size", min=1, max=4096, help="Images per step.")
    ] = None,
    learning_rate: Annotated[Real, typer.Option("--learning-rate", help="Step size, up to 1.")] = None,
    schedule: Annotated[
        Text, typer.Option("--schedule", help="Learning rate over the run: constant, cosine or plateau.")
    ] = None,
    backbone_rate: Annotated[
        Real,
        typer.Option(
            "--backbone-rate", min=0, max=1, help="Share of the rate for all but the output; 0: frozen."
        ),
    ] = None,
    frozen_share: Annotated[
        Real, typer.Option("--frozen-share", min=0, max=1, help="Share of layers that do not learn at all.")
    ] = None,
    head_epochs: Annotated[
        Whole, typer.Option("--head-epochs", min=0, help="Epochs at first with the output layer alone.")
    ] = None,
    patience_epochs: Annotated[
        Whole,
        typer.Option("--patience-epochs", min=0, help="Stop after so many without progress; 0: never."),
    ] = None,
    flip: Annotated[bool | None, typer.Option("--flip/--no-flip", help="Mirror left and right.")] = None,
    rotate_degrees: Annotated[Real, typer.Option("--rotate-degrees", min=0, max=45, help="Up to.")] = None,
    zoom_share: Annotated[
        Real, typer.Option("--zoom-share", min=0, max=0.5, help="In and out, up to.")
    ] = None,
    shift_share: Annotated[
        Real, typer.Option("--shift-share", min=0, max=0.5, help="Any way, up to.")
    ] = None,
    seed: Annotated[Whole, typer.Option("--seed", help="Of all random choices.")] = None,
    minimum_per_class: Annotated[
        Whole, typer.Option("--minimum-per-class", min=1, help="Classes with fewer are left out.")
    ] = None,
    maximum_per_class: Annotated[
        Whole, typer.Option("--maximum-per-class", min=1, help="What is over goes to the test set.")
    ] = None,
    staged_cap: Annotated[
        Whole, typer.Option("--staged-cap", min=0, help="Staged and synthetic images fill up to this.")
    ] = None,
    taxonomy_version: Annotated[
        Whole,
        typer.Option("--taxonomy-version", min=0, help="Classes of this version; default: the snapshot's."),
    ] = None,
    throw_away: Annotated[
        bool | None,
        typer.Option("--throw-away", help="Only to find more images, with classes of 35; never exported."),
    ] = None,
    trial: Annotated[bool | None, typer.Option("--trial", help="For comparison; registers no model.")] = None,
    wait: Wait = False,
    timeout_s: Timeout = DAY_S,
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Train a model on a snapshot; --wait follows it, and Ctrl-C then leaves it running."""
    from services.ops.clients.training_request import THROW_AWAY_MINIMUM, merged, read_options, read_request

    options = given(
        network=network, weights=weights, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate,
        schedule=schedule, patience_epochs=patience_epochs, flip=flip, rotate_degrees=rotate_degrees,
        zoom_share=zoom_share, shift_share=shift_share, seed=seed,
        **_group("rates", backbone=backbone_rate, frozen_share=frozen_share, head_epochs=head_epochs),
    )  # fmt: skip
    rules = given(
        minimum_per_class=minimum_per_class, maximum_per_class=maximum_per_class, staged_cap=staged_cap
    )
    own = given(
        snapshot_id=snapshot, base=base, taxonomy_version=taxonomy_version, throw_away=throw_away, trial=trial
    )
    fields = merged(
        {"rules": {"minimum_per_class": THROW_AWAY_MINIMUM}} if throw_away else {},
        read_request(from_file) if from_file else {},
        {"options": read_options(option or ())},
        own | {"options": options, "rules": rules},
    )
    run(_train(data_dir, Output(as_json), person(by), fields, timeout_s if wait else None))


def cancel(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="A run, or a search with all its trials.")],
    reason: Annotated[Text, typer.Option("--reason", help="Why, as recorded.")] = None,
    wait: Wait = True,
    timeout_s: Timeout = CANCEL_TIMEOUT_S,
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Stop a run, or all trials of a search: within a step, without a model."""
    run(_cancel(data_dir, Output(as_json), run_id, person(by), reason, timeout_s if wait else None))


def _group(name: str, **values: Any) -> dict[str, Any]:
    found = given(**values)
    return {name: found} if found else {}


async def _train(
    data_dir: Path | None, output: Output, by: str, fields: dict[str, Any], timeout_s: float | None
) -> None:
    from services.ops.clients.following import newest_snapshot
    from services.ops.clients.requests import request_training
    from services.ops.clients.undecided import undecided_pairs

    async with open_session(data_dir) as session:
        snapshot_id = fields.pop("snapshot_id", None)
        snapshot_id = snapshot_id or (await newest_snapshot(session.reporter))["snapshot_id"]
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
    from services.ops.commands.training_progress import following

    output.say(f"Run {request.run_id} on snapshot {request.snapshot_id}; Ctrl-C leaves it running")
    with following(output, request.run_id) as show:
        found = await finished_run(session.reporter, request, timeout_s, show)
    outcome = found["outcome"]
    if outcome["outcome"] == "cancelled":
        raise OpsError(f"run {request.run_id} was cancelled by {plain(outcome['cancelled_by'])}")
    failure = failure_of(found)
    if failure:
        raise OpsError(f"run {request.run_id} failed: {failure}")
    shown = {
        "run": request.run_id,
        "snapshot": request.snapshot_id,
        "model": outcome["model_version"],
        "epochs": outcome["epochs_run"],
        "best epoch": outcome["best_epoch"],
        "best validation accuracy": share(outcome["best_val_accuracy"]),
        **given(seconds=outcome.get("seconds"), cost=outcome.get("cost")),
    }
    output.end(found, facts("Training ended", shown))


async def _cancel(
    data_dir: Path | None, output: Output, run_id: str, by: str, reason: str | None, timeout_s: float | None
) -> None:
    from services.ops.clients.cancelling import asked_to_cancel, cancelled, cancelling, refuse_ended
    from services.ops.clients.requests import cancel_training

    async with open_session(data_dir) as session:
        before = await cancelling(session.reporter, run_id)
        refuse_ended(run_id, before)
        request = cancel_training(run_id, by, reason)
        await session.bus.request(request)
        if timeout_s is None:
            data = {"run_id": run_id, "request_id": request.request_id}
            output.end(data, facts(asked_to_cancel(before), data))
            return
        found = await cancelled(session.reporter, run_id, request, timeout_s)
        shown = {"run": run_id, "by": found["cancelled_by"], "epochs done": found["epochs_run"]}
        output.end(found, facts("Cancelled", shown))
