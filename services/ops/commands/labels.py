"""What people say of images: label, label-undo, opinion, double-check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from services.ops.clients.output import Output, facts
from services.ops.commands.options import AsJson, By, DataDir, person
from services.ops.commands.session import command_ingest, open_ingest, run

WHICH = "Ids of images or their first 6 digits and more; - reads ids from standard input."
Images = Annotated[list[str], typer.Argument(metavar="IMAGE...", help=WHICH)]
Kind = Annotated[
    str | None,
    typer.Option("--kind", help="class, unknown, out-of-scope or rejected; default: told by the label."),
]
Reason = Annotated[str | None, typer.Option("--reason", help="Why, as recorded.")]


def label(
    arguments: Annotated[
        list[str], typer.Argument(metavar="IMAGE... LABEL", help=f"{WHICH} Last the label, / between levels.")
    ],
    kind: Kind = None,
    reason: Reason = None,
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Give images a label, or another one."""
    from services.ops.clients.requests import new_id
    from services.ops.clients.selection import ID_DIGITS, named_images

    *images, name = arguments
    if not images or (len(name) == ID_DIGITS and not set(name) - set("0123456789abcdef")):
        raise typer.BadParameter("name the images, and last the label", param_hint="IMAGE... LABEL")
    change_id = new_id()
    fields = {"label": name, "kind": kind, "reason": reason, "by": person(by), "change_id": change_id}
    undo = f"menagerie label-undo {change_id}"
    remedy = f"run the same again, or take them back with `{undo}`"
    data = run(change_images(data_dir, "label.assign-many", named_images(images), remedy, fields))
    shown = {
        "label": name,
        "images": data["images"],
        "of them changed": data["changed"],
        "change": change_id,
        "to take it back": undo if data["changed"] else "nothing was changed",
    }
    Output(as_json).end({"label": name, "change_id": change_id, **data}, facts("Labelled", shown))


def label_undo(
    change: Annotated[str, typer.Argument(metavar="CHANGE", help="Id of the change, as `label` told it.")],
    reason: Reason = None,
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Bring back every label that one change set; images that were labelled again since stay as they are."""
    fields = {"change_id": change, "reason": reason, "by": person(by)}
    outcome = run(command_ingest(data_dir, "label.undo", **fields))
    data = {"undone": change, "change_id": outcome["request_id"], **outcome}
    shown = {
        "labels brought back": outcome["changed"],
        "left, because they changed since": outcome["left"],
        "to take this back": f"menagerie label-undo {outcome['request_id']}",
    }
    Output(as_json).end(data, facts(f"Undone: {change}", shown))


def opinion(
    image: Annotated[
        str, typer.Argument(metavar="IMAGE", help="The image's id, or its first 6 digits and more.")
    ],
    name: Annotated[str, typer.Argument(metavar="LABEL", help="What you see; / between levels.")],
    kind: Kind = None,
    reason: Reason = None,
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Say what label an image should have, without changing it; your newest opinion counts."""
    from services.ops.clients.selection import named_images

    fields = {"label": name, "kind": kind, "reason": reason, "by": person(by)}
    data = run(_opinion(data_dir, named_images([image]), fields))
    shown = {
        "image": data["image_id"],
        "your opinion": name,
        "its label": data["current_label"],
        "they agree": data["agrees"],
        "to change the label": f"menagerie label {data['image_id'][:12]} LABEL",
        "where opinions differ": "menagerie images --disagreement",
    }
    Output(as_json).end(data, facts("Opinion kept", shown))


def double_check(
    images: Images,
    reason: Annotated[
        str | None, typer.Option("--reason", help="Why, as recorded; needed to ask for another look.")
    ] = None,
    done: Annotated[bool, typer.Option("--done", help="It is done, and the label stays.")] = False,
    unsure: Annotated[bool, typer.Option("--unsure", help="With --done: nobody can tell.")] = False,
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Ask for another look at labels, or end it with --done; a new label ends it by itself."""
    from services.ops.clients.selection import named_images

    if unsure and not done:
        raise typer.BadParameter("it goes with --done", param_hint="--unsure")
    if not done and not (reason and reason.strip()):
        raise typer.BadParameter("say why another look is needed", param_hint="--reason")
    fields: dict[str, Any] = {"reason": reason, "by": person(by)}
    if done:
        fields["verdict"] = "unsure" if unsure else "keep"
    command = "label.double-checked" if done else "label.double-check"
    data = run(change_images(data_dir, command, named_images(images), "run the same again", fields))
    counted = "looked at" if done else "put into the queue"
    way_back = "menagerie double-check IMAGE... " + ("--reason WHY" if done else "--done")
    shown = {
        "images": data["images"],
        f"of them {counted}": data["changed"],
        "the queue": "menagerie images --double-check",
        "to take it back": way_back,
    }
    Output(as_json).end(data, facts("Double-check", shown))


async def change_images(
    data_dir: Path | None, command: str, named: list[str], remedy: str, fields: dict[str, Any]
) -> dict[str, Any]:
    """Do ``command`` for the images that ``named`` stand for; how many they are, and how many it changed."""
    from services.ops.clients.changes import change_many
    from services.ops.clients.selection import whole_ids

    async with open_ingest(data_dir) as library:
        image_ids = await whole_ids(library, named)
        changed = await change_many(library, command, image_ids, remedy, **fields)
    return {"images": len(image_ids), "changed": changed}


async def _opinion(data_dir: Path | None, named: list[str], fields: dict[str, Any]) -> dict[str, Any]:
    from services.ops.clients.selection import whole_ids

    async with open_ingest(data_dir) as library:
        [image_id] = await whole_ids(library, named)
        outcome = await library.command("label.give-opinion", image_id=image_id, **fields)
    return {"image_id": image_id, "label": fields["label"], **outcome}
