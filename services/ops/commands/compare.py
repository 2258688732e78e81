"""``menagerie compare``: what one model fixes and breaks of another's answers."""

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
OF_CHANCE = 0.05
"""A difference that chance makes oftener than this is called one that may be chance."""
ModelA = Annotated[str, typer.Argument(metavar="A", help="The model to be measured against, such as 001.")]
ModelB = Annotated[str, typer.Argument(metavar="B", help="The model that fixes and breaks.")]


def compare(
    model_a: ModelA,
    model_b: ModelB,
    dataset_of: Annotated[
        str | None, typer.Option("--dataset-of", help="Whose data set has the images; default: B's.")
    ] = None,
    taxonomy_version: Annotated[
        int | None,
        typer.Option("--taxonomy-version", min=0, help="Whose classes count; default: the data set's."),
    ] = None,
    wait: Wait = True,
    timeout_s: Timeout = DAY_S,
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Compare two models on the same images: what B fixes and breaks of A's answers."""
    fields = {"dataset_of": dataset_of, "taxonomy_version": taxonomy_version}
    run(
        _compare(data_dir, Output(as_json), model_a, model_b, person(by), fields, timeout_s if wait else None)
    )


async def _compare(
    data_dir: Path | None,
    output: Output,
    model_a: str,
    model_b: str,
    by: str,
    fields: dict[str, Any],
    timeout_s: float | None,
) -> None:
    from contracts.events import ModelsCompared
    from services.ops.clients.following import chosen_model
    from services.ops.clients.requests import request_comparison
    from services.ops.clients.scorings import scoring_progress, told
    from services.ops.commands.progress import measuring

    async with open_session(data_dir) as session:
        for version in {model_a, model_b, fields["dataset_of"]} - {None}:
            await chosen_model(session.reporter, version)
        request = request_comparison(model_a, model_b, by, **fields)
        since = await session.bus.last_seq(ModelsCompared.stream())
        await session.bus.request(request)
        if timeout_s is None:
            sent = {"request_id": request.request_id, "model_a": model_a, "model_b": model_b}
            output.end(sent, facts("Comparison requested", sent))
            return
        with measuring(output, f"Comparing {model_a} and {model_b}") as on_progress:
            async with scoring_progress(session.bus, request, on_progress):
                row = await told(
                    session.bus, session.reporter, ModelsCompared, since, request,
                    what=f"the comparison of {model_a} and {model_b}", timeout_s=timeout_s,
                )  # fmt: skip
    output.end(row, *comparison_tables(row))


def comparison_tables(row: dict[str, Any]) -> list[Group]:
    """A comparison: the counts, what they mean, and where the images are listed."""
    a, b = row["model_a"], row["model_b"]
    shown = {
        f"accuracy of {a}": share(row["accuracy_a"]),
        f"accuracy of {b}": share(row["accuracy_b"]),
        f"fixed by {b}": row["fixed"],
        f"broken by {b}": row["broken"],
        "images that count": row["images"],
        "left out, learned from": row["learned_from"],
        "left out, of no known class": row["nobodys"],
        "by chance (McNemar's p)": row["p_value"],
        "verdict": verdict(row),
        "classes of taxonomy version": row["taxonomy_version"],
    }
    columns = ("set", "images", "both right", "fixed", "broken", "both wrong")
    fields = ("name", "images", "both_right", "fixed", "broken", "both_wrong")
    sets = [tuple(one[name] for name in fields) for one in row["sets"]]
    files = [(name, f"{row[name]['bucket']}/{row[name]['key']}") for name in ("report", "summary")]
    return [
        facts(f"Model {b} against model {a}", shown),
        table("Sets", columns, sets),
        table("Files", ("", "object"), files),
    ]


def verdict(row: dict[str, Any]) -> str:
    """The counts in one sentence."""
    a, b, fixed, broken = row["model_a"], row["model_b"], row["fixed"], row["broken"]
    if not row["images"]:
        return "no image is left that neither model has learned from: nothing can be said"
    if fixed == broken:
        return f"{b} fixes as many images as it breaks"
    better, worse, most, least = (b, a, fixed, broken) if fixed > broken else (a, b, broken, fixed)
    sentence = (
        f"{better} is right on {most} images that {worse} gets wrong, and wrong on {least} of the others"
    )
    return sentence if row["p_value"] <= OF_CHANCE else f"{sentence}; so small a difference may be chance"
