"""A person's verdict on the label of an image that is double-checked; the library keeps it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from services.ops.clients.output import Output, facts
from services.ops.commands.labels import Reason
from services.ops.commands.options import AsJson, By, DataDir, person
from services.ops.commands.session import open_ingest, run

KEEP, RELABEL, REMOVE, UNSURE = "keep", "relabel", "remove", "unsure"
REMOVED = "rejected"
"""The label of an image that is of no use; its history keeps what it was."""


def verdict(
    image: Annotated[
        str, typer.Argument(metavar="IMAGE", help="The image's id, or its first 6 digits and more.")
    ],
    said: Annotated[str, typer.Argument(metavar="VERDICT", help="keep, relabel, remove or unsure.")],
    label: Annotated[
        str | None, typer.Argument(metavar="[LABEL]", help="With relabel: the right label, / between levels.")
    ] = None,
    reason: Reason = None,
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Say what becomes of a label in doubt; it ends the image's double-check."""
    if said not in {KEEP, RELABEL, REMOVE, UNSURE}:
        raise typer.BadParameter(
            f"{said!r} is not one of keep, relabel, remove, unsure", param_hint="VERDICT"
        )
    if (label is None) == (said == RELABEL):
        raise typer.BadParameter(
            "relabel takes the right label, and no other verdict does", param_hint="LABEL"
        )
    done = run(_say(data_dir, image, said, label, {"reason": reason, "by": person(by)}))
    shown = {"image": done["image_id"], "verdict": said, **({"label": label} if label else {})}
    if "change_id" in done:
        shown["to take it back"] = f"menagerie label-undo {done['change_id']}"
    elif not done["changed"]:
        shown["but"] = "it waits for no double-check, so nothing was kept: `menagerie review-queue send`"
    Output(as_json).end(done | {"verdict": said}, facts("Double-checked", shown))


async def _say(
    data_dir: Path | None, image: str, said: str, label: str | None, fields: dict[str, Any]
) -> dict[str, Any]:
    from services.ops.clients.requests import new_id
    from services.ops.clients.selection import named_images, whole_ids

    async with open_ingest(data_dir) as library:
        [image_id] = await whole_ids(library, named_images([image]))
        if said in {KEEP, UNSURE}:
            outcome = await library.command(
                "label.double-checked", image_ids=[image_id], verdict=said, **fields
            )
            return {"image_id": image_id, **outcome}
        given = {"label": label or REMOVED, "kind": "rejected" if said == REMOVE else None}
        change_id = new_id()
        outcome = await library.command(
            "label.assign", image_id=image_id, change_id=change_id, **given, **fields
        )
        return {"image_id": image_id, "change_id": change_id, **outcome}
