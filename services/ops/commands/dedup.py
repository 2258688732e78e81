"""``menagerie dedup``: images that look alike, and what people decide about them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from services.ops.clients.output import Output, facts, share, table
from services.ops.commands.dedup_pairs import WHICH, group_of, pairs, sheet
from services.ops.commands.dedup_scan import scan
from services.ops.commands.labels import Reason
from services.ops.commands.options import AsJson, By, DataDir, person
from services.ops.commands.session import command_dedup, open_dedup, open_ingest, read_dedup, run

TOLD_APART = frozenset({"request_id", "image_id", "other_id", "keep"})
"""What the rest of the answer to a decision already says."""


def group() -> typer.Typer:
    """The commands under ``menagerie dedup``."""
    app = typer.Typer(help="Images that look alike, and what people decide about them.", no_args_is_help=True)
    for command in (pairs, resolve, undo, group_of, thresholds, sheet, scan):
        app.command(name=command.__name__.removesuffix("_of"))(command)
    return app


def resolve(
    image: Annotated[str, typer.Argument(metavar="IMAGE", help=WHICH)],
    other: Annotated[str, typer.Argument(metavar="OTHER", help=WHICH)],
    keep: Annotated[
        str | None, typer.Option("--keep", metavar="IMAGE", help="The one of the two that stays in use.")
    ] = None,
    keep_both: Annotated[
        bool, typer.Option("--keep-both", help="They are no duplicates; never asked again.")
    ] = False,
    reason: Reason = None,
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Decide whether two images are duplicates, and which of them stays in use."""
    if (keep is None) != keep_both:
        raise typer.BadParameter("say which image stays, or --keep-both", param_hint="--keep")
    fields = {"reason": reason, "by": person(by)}
    done = run(_resolve(data_dir, [image, other], keep, fields))
    shown = {
        "image": done["image_id"],
        "other": done["other_id"],
        "they are": "no duplicates" if done["keep"] is None else "duplicates",
        "stays": done["keep"] or "both",
        **_outcome(done),
        "to take it back": f"menagerie dedup undo {done['request_id']}",
    }
    Output(as_json).end(done, facts("Decided", shown))


async def _resolve(
    data_dir: Path | None, two: list[str], keep: str | None, fields: dict[str, Any]
) -> dict[str, Any]:
    from services.ops.clients.errors import OpsError
    from services.ops.clients.selection import named_images, whole_ids

    async with open_ingest(data_dir) as library:
        whole = [await whole_ids(library, named_images([one])) for one in two]
    [[image_id], [other_id]] = whole
    kept = [one for one in {image_id, other_id} if keep is not None and one.startswith(keep.strip())]
    if keep is not None and len(kept) != 1:
        raise OpsError(f"--keep {keep[:80]!r} is not one of the two images: give {image_id} or {other_id}")
    named = {"image_id": image_id, "other_id": other_id, "keep": kept[0] if kept else None}
    async with open_dedup(data_dir) as dedup:
        return named | await dedup.command("duplicate.resolve", **named, **fields)


def undo(
    request: Annotated[
        str, typer.Argument(metavar="REQUEST", help="Id of the decision, as `resolve` told it.")
    ],
    reason: Reason = None,
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Take a decision back; the pair is as it was before it."""
    fields = {"undoes": request, "reason": reason, "by": person(by)}
    done = run(command_dedup(data_dir, "duplicate.undo", **fields))
    Output(as_json).end({"undone": request, **done}, facts(f"Undone: {request}", _outcome(done)))


def _outcome(done: dict[str, Any]) -> dict[str, Any]:
    """What dedup says of it, in its own words: a newer one may say more."""
    return {name.replace("_", " "): value for name, value in done.items() if name not in TOLD_APART}


def thresholds(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """How alike two images have to be, class by class, and how well that agrees with people."""
    from services.ops.clients.duplicates import THRESHOLDS

    data = run(read_dedup(data_dir, THRESHOLDS))
    rows = [
        (
            row["class_name"] or "all classes",
            row["detector"],
            row["automatic"],
            row["review"],
            share(row["precision"]),
            share(row["recall"]),
            row["duplicates"],
            row["not_duplicates"],
            row["learnt"],
        )
        for row in data["thresholds"]
    ]
    columns = ("class", "detector", "automatic", "review", "precision", "recall", "yes", "no", "learnt")
    title = f"{len(rows)} thresholds; yes and no: what people said of pairs"
    Output(as_json).end(data, table(title, columns, rows))
