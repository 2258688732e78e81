"""Commands on trained models: models, evaluate, export, bulk-identify."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.ops.clients.output import Output, facts, moment, share, table
from services.ops.commands.options import AsJson, By, DataDir, Timeout, Wait, person
from services.ops.commands.session import find_stack, open_session, run

if TYPE_CHECKING:
    from rich.console import Group

HOUR_S = 3_600.0
Version = Annotated[
    str | None, typer.Argument(metavar="[MODEL]", help="Version such as 002; default: the newest.")
]


def models(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the registered models."""
    rows = run(_models(data_dir))
    plain_columns = ("version", "state", "base_version", "class_count", "epochs")
    shown = [
        (*(row[name] for name in plain_columns), share(row["test_accuracy"]), row["gate"],
         moment(row["trained_at"]))
        for row in rows
    ]  # fmt: skip
    columns = ("version", "state", "base", "classes", "epochs", "test", "gate", "trained")
    Output(as_json).end({"models": rows}, table(f"{len(rows)} models", columns, shown))


async def _models(data_dir: Path | None) -> list[dict[str, Any]]:
    from services.ops.clients.following import all_models
    from services.ops.clients.reads import open_reporter

    stack = find_stack(data_dir)
    async with open_reporter(stack.urls["reporter"], stack.api_token) as reporter:
        return await all_models(reporter)


def evaluate(
    version: Version = None,
    taxonomy_version: Annotated[
        int | None,
        typer.Option("--taxonomy-version", min=0, help="Measure by its classes; default: the model's own."),
    ] = None,
    dataset_of: Annotated[
        str | None, typer.Option("--dataset-of", help="Score that model's images; default: its own.")
    ] = None,
    wait: Wait = True,
    timeout_s: Timeout = HOUR_S,
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Score a model again, with every set and the gate; perhaps by other classes, or on other images."""
    fields = {"taxonomy_version": taxonomy_version, "dataset_of": dataset_of}
    run(_evaluate(data_dir, Output(as_json), version, person(by), fields, timeout_s if wait else None))


async def _evaluate(
    data_dir: Path | None,
    output: Output,
    version: str | None,
    by: str,
    fields: dict[str, Any],
    timeout_s: float | None,
) -> None:
    from contracts.events import ModelRescored
    from services.ops.clients.following import changed_model, chosen_model
    from services.ops.clients.requests import request_evaluation
    from services.ops.clients.scorings import scoring_progress, told
    from services.ops.commands.progress import measuring

    async with open_session(data_dir) as session:
        before = await chosen_model(session.reporter, version)
        chosen, is_own = before["version"], not any(value is not None for value in fields.values())
        if fields["dataset_of"] is not None:
            await chosen_model(session.reporter, fields["dataset_of"])
        request = request_evaluation(chosen, by, **fields)
        since = await session.bus.last_seq(ModelRescored.stream())
        await session.bus.request(request)
        if timeout_s is None:
            sent = {"request_id": request.request_id, "model_version": chosen}
            output.end(sent, facts("Scoring requested", sent))
            return
        with measuring(output, f"Scoring model {chosen}") as on_progress:
            async with scoring_progress(session.bus, request, on_progress):
                if is_own:
                    row = await changed_model(
                        session.reporter, chosen, "scored_at", before, timeout_s, request
                    )
                else:
                    row = await told(
                        session.bus, session.reporter, ModelRescored, since, request,
                        what=f"the scoring of model {chosen}", timeout_s=timeout_s,
                    )  # fmt: skip
    output.end(row, *(score_tables if is_own else rescored_tables)(row))


def score_tables(row: dict[str, Any]) -> list[Group]:
    """A scored model: its sets and its gate."""
    shown = {"test accuracy": share(row["test_accuracy"]), "threshold": row["threshold"], "gate": row["gate"]}
    return _scored_tables(f"Model {row['version']}", shown, row["sets"], row["gate_rules"])


def rescored_tables(row: dict[str, Any]) -> list[Group]:
    """A model by other classes, or on other images: the same, and what does not fit."""
    shown = {
        "images of the data set of": row["dataset_of"],
        "classes of taxonomy version": row["taxonomy_version"],
        "classes it does not know": ", ".join(row["unknown_classes"]) or "none",
        "classes the version divides": ", ".join(row["undivided_classes"]) or "none",
        "threshold": row["threshold"],
        "gate, for information": row["gate"]["verdict"],
    }
    return _scored_tables(f"Model {row['model_version']}", shown, row["sets"], row["gate"]["rules"])


def _scored_tables(
    title: str, shown: dict[str, Any], scored: list[dict[str, Any]], decided: list[dict[str, Any]]
) -> list[Group]:
    sets = [
        (
            one["name"],
            one["images"],
            share(one["accuracy"]),
            share(one["true_positives_above"]),
            share(one["false_positives_above"]),
        )
        for one in scored
    ]
    rules = [(one["rule"], one["passed"], one["sentence"]) for one in decided]
    return [
        facts(title, shown),
        table("Sets", ("set", "images", "accuracy", "right above", "wrong above"), sets),
        table("Gate", ("rule", "passed", "why"), rules),
    ]


def export(
    version: Version = None,
    reason: Annotated[
        str,
        typer.Option(
            "--reason", prompt="Why export it whatever its gate says", help="Recorded with the export."
        ),
    ] = "",
    wait: Wait = True,
    timeout_s: Timeout = HOUR_S,
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Export a model whatever its gate says, on record; with --format, the images: see export-images."""
    run(_export(data_dir, Output(as_json), version, reason, person(by), timeout_s if wait else None))


async def _export(
    data_dir: Path | None, output: Output, version: str | None, reason: str, by: str, timeout_s: float | None
) -> None:
    from services.ops.clients.following import changed_model, chosen_model
    from services.ops.clients.requests import request_export
    from services.ops.commands.progress import waiting

    async with open_session(data_dir) as session:
        before = await chosen_model(session.reporter, version)
        chosen = before["version"]
        request = request_export(chosen, by, reason)
        await session.bus.request(request)
        if timeout_s is None:
            sent = {"request_id": request.request_id, "model_version": chosen}
            output.end(sent, facts("Export requested", sent))
            return
        with waiting(output, f"Exporting model {chosen}"):
            row = await changed_model(session.reporter, chosen, "exported_at", before, timeout_s, request)
    shown = {
        "model": chosen,
        "state": row["state"],
        "exported at": moment(row["exported_at"]),
        "reason": reason,
    }
    output.end(row, facts("Exported", shown))


def bulk_identify(
    version: Version = None,
    snapshot: Annotated[
        str | None, typer.Option("--snapshot", help="Snapshot id; default: the newest.")
    ] = None,
    wait: Wait = True,
    timeout_s: Timeout = HOUR_S,
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Let a model name every image that has no label."""
    run(_bulk(data_dir, Output(as_json), version, snapshot, person(by), timeout_s if wait else None))


async def _bulk(
    data_dir: Path | None,
    output: Output,
    version: str | None,
    snapshot: str | None,
    by: str,
    timeout_s: float | None,
) -> None:
    from services.ops.clients.following import bulk_runs, chosen_model, completed_bulk
    from services.ops.clients.requests import request_identification
    from services.ops.commands.progress import waiting

    async with open_session(data_dir) as session:
        chosen = (await chosen_model(session.reporter, version))["version"]
        known = frozenset(row["run_id"] for row in await bulk_runs(session.reporter, chosen))
        request = request_identification(chosen, by, snapshot)
        await session.bus.request(request)
        if timeout_s is None:
            sent = {"request_id": request.request_id, "model_version": chosen}
            output.end(sent, facts("Identification requested", sent))
            return
        with waiting(output, f"Model {chosen} names what has no label"):
            row = await completed_bulk(session.reporter, chosen, known, timeout_s, request)
    shown = {
        "model": chosen,
        "run": row["run_id"],
        "identified": row["identified"],
        "at or above the threshold": row["above_threshold"],
        "threshold": row["threshold"],
    }
    output.end(row, facts("Identified in bulk", shown))
