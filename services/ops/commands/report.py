"""``menagerie report``: a scoring's report as a page to read, or as JSON or Parquet."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from services.ops.clients.output import Output, facts, moment, table
from services.ops.commands.models import Version
from services.ops.commands.options import AsJson, DataDir
from services.ops.commands.saving import save
from services.ops.commands.session import open_evaluator, run

if TYPE_CHECKING:
    from rich.console import Group

REPORTS = "/api/v1/reports"
KINDS = {".html": "page", ".json": "report", ".parquet": "figures"}
VERDICTS = {"go": "go", "no-go": "no-go: a rule of the gate failed"}
Row = dict[str, Any]


def report(
    version: Version = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            dir_okay=False,
            help="Where to save it: .html the page, .json every figure, .parquet the same as a table; "
            "default: model-MODEL.html.",
        ),
    ] = None,
    scoring: Annotated[
        str | None,
        typer.Option("--scoring", metavar="ID", help="Its request id; default: the model's newest own one."),
    ] = None,
    show: Annotated[bool, typer.Option("--open/--no-open", help="Open it in a browser.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Save a model's report, one page with every figure and picture, and say what its gate decided."""
    kind = "page" if output is None else kind_of(output)
    about, data = run(_fetch(data_dir, version or "newest", kind, scoring))
    path = output or Path(f"model-{about['model_version']}.html")
    save(path, data, make_folder=True)
    Output(as_json).end(about | {"file": str(path)}, *report_tables(about, path))
    if show:
        import webbrowser

        webbrowser.open(path.resolve().as_uri())


def kind_of(path: Path) -> str:
    """Which form of the report a file of that name is.

    Raises:
        typer.BadParameter: none.
    """
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        endings = ", ".join(KINDS)
        raise typer.BadParameter(f"{str(path)!r} must end in one of {endings}", param_hint="--output")
    return kind


async def _fetch(data_dir: Path | None, version: str, kind: str, scoring: str | None) -> tuple[Row, bytes]:
    """What is known of the scoring, and the file, checked by its digest."""
    from services.ops.clients.errors import OpsError

    async with open_evaluator(data_dir) as evaluator:
        about: Row = await evaluator.get(f"{REPORTS}/{version}", scoring=scoring)
        # By its own id: a scoring that ends in this moment is another one.
        place = f"{REPORTS}/{about['model_version']}/{kind}?scoring={quote(about['request_id'])}"
        data = await evaluator.content(place)
    if hashlib.sha256(data).hexdigest() != about[kind]["sha256"]:
        raise OpsError(
            f"what came of the {kind} of model {about['model_version']} is not what its scoring wrote "
            f"(sha256 {about[kind]['sha256']}): nothing was saved, try again"
        )
    return about, data


def report_tables(about: Row, path: Path) -> list[Group]:
    """The verdict with a sentence per rule, failed ones first, and where the file lies."""
    shown = {
        "verdict": VERDICTS[about["gate"]["verdict"]],
        "scored": moment(about["scored_at"]),
        "saved": path,
    }
    if about["taxonomy_version"] is not None:
        shown["for information"] = f"classes of taxonomy version {about['taxonomy_version']}"
    order = {False: 0, None: 1, True: 2}
    words = {False: "failed", None: "not measured", True: "kept"}
    rules = sorted(about["gate"]["rules"], key=lambda one: order[one["passed"]])
    rows = [(words[one["passed"]], one["sentence"]) for one in rules]
    return [
        facts(f"Report of model {about['model_version']}", shown),
        table("Gate", ("", "why"), rows),
    ]
