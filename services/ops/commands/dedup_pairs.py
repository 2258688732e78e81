"""Pairs as a table, as part of an image's group, and as a contact sheet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.ops.clients.output import Output, facts, table
from services.ops.commands.images import SHORT_ID, label_text
from services.ops.commands.options import AsJson, DataDir
from services.ops.commands.session import open_dedup, open_ingest, run

if TYPE_CHECKING:
    from rich.console import Group

    from services.ops.clients.library import Library

Row = dict[str, Any]
WHICH = "The image's id, or its first 6 digits and more."
SHOWN = 50
SHEET_PAIRS = 200
MOST = 100_000
SHEET_MOST = 5_000
"""A sheet of so many pairs has 100 MB or so: more than a browser likes."""
STATES = ("review", "automatic", "burst", "closed", "duplicate", "not-duplicate", "all")
State = Annotated[str, typer.Option("--state", help=", ".join(STATES))]
OfImage = Annotated[str | None, typer.Option("--image", metavar="ID", help="Only pairs of this image.")]


def pairs(
    state: State = "review",
    image: OfImage = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST, help="At most so many.")] = SHOWN,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Pairs that look alike, two lines each; the one marked `keep` is suggested to stay, or was chosen."""
    rows = run(_pairs(data_dir, _state(state), image, limit + 1))
    more, rows = len(rows) > limit, rows[:limit]
    output = Output(as_json)
    title = f"{len(rows)} pairs{' and more' if more else ''}"
    output.end({"pairs": rows, "more": more}, pairs_table(title, rows))
    _say_more(output, more, limit, MOST)


def group_of(
    image: Annotated[str, typer.Argument(metavar="IMAGE", help=WHICH)],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """An image's group: which images are its copies, and which pairs wait for a decision."""
    found = run(_group(data_dir, image))
    shown = {
        "verdict": "removed" if found["removed"] else found["verdict"],
        "group": found["group"],
        "duplicate of": found["duplicate_of"],
        "bits apart": found["distance_bits"],
        "turned": _turned(found),
        "by": found["by"],
    }
    members = [
        (
            row["image_id"][:SHORT_ID],
            (row["image"] or {}).get("file_name"),
            row["verdict"],
            row["distance_bits"],
            _turned(row),
        )
        for row in found["members"]
    ]
    columns = ("id", "file_name", "verdict", "bits apart", "turned")
    Output(as_json).end(
        found,
        facts(f"Image {found['image_id']}", shown),
        table(f"{len(members)} images in its group", columns, members),
        pairs_table(f"{len(found['pairs'])} pairs", found["pairs"]),
    )


def sheet(
    out: Annotated[Path, typer.Argument(metavar="OUT.html", dir_okay=False, help="The file to write.")],
    state: State = "review",
    image: OfImage = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=SHEET_MOST, help="At most so many pairs.")
    ] = SHEET_PAIRS,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Write a contact sheet: pairs side by side in one file, to look at, print or mail."""
    if out.suffix.lower() not in {".html", ".htm"}:
        raise typer.BadParameter(f"{out.name!r} must end in .html", param_hint="OUT.html")
    data, more = run(_sheet(data_dir, out, state, image, limit))
    output = Output(as_json)
    output.end({**data, "more": more}, facts("Contact sheet", data))
    _say_more(output, more, limit, SHEET_MOST)


def pairs_table(title: str, rows: list[Row]) -> Group:
    """Two lines a pair, narrow enough for 80 columns."""
    from services.ops.clients.duplicates import facts_of

    lines: list[tuple[object, ...]] = []
    for row in rows:
        *measured, state = facts_of(row)
        for side, said in (("image", ", ".join(measured)), ("other", state)):
            image_id, known = row[f"{side}_id"], row[side] or {}
            lines.append(
                (
                    image_id[:SHORT_ID],
                    known.get("file_name"),
                    label_text(known.get("label"), known.get("kind")),
                    "keep" if image_id == _kept(row) else "",
                    said,
                )
            )
    return table(title, ("id", "file_name", "label", "keep", "alike, and state"), lines)


def _kept(row: Row) -> str | None:
    """Of a pair that a person called no duplicates, both."""
    stays: str | None = row["keep"] or (None if row["state"] == "not-duplicate" else row["suggested_keep"])
    return stays


def _turned(row: Row) -> str | None:
    from services.ops.clients.duplicates import TURNED

    return TURNED.get(row["orientation"])


def _state(text: str) -> str | None:
    if text not in STATES:
        raise typer.BadParameter(f"{text!r} is not one of {', '.join(STATES)}", param_hint="--state")
    return None if text == "all" else text


def _say_more(output: Output, more: bool, limit: int, most: int) -> None:
    if more:
        wider = min(10 * limit, most)
        output.warn(f"The first {limit} are shown and there are more: --limit {wider} shows more of them")


async def _whole_id(library: Library, image: str) -> str:
    from services.ops.clients.selection import named_images, whole_ids

    [image_id] = await whole_ids(library, named_images([image]))
    return image_id


async def _pairs(data_dir: Path | None, state: str | None, image: str | None, limit: int) -> list[Row]:
    from services.ops.clients.duplicates import named, read_pairs

    async with open_dedup(data_dir) as dedup, open_ingest(data_dir) as library:
        image_id = None if image is None else await _whole_id(library, image)
        return await named(library, await read_pairs(dedup, limit, state=state, image_id=image_id))


async def _group(data_dir: Path | None, image: str) -> Row:
    from services.ops.clients.duplicates import IMAGES, images_known, named

    async with open_dedup(data_dir) as dedup, open_ingest(data_dir) as library:
        found: Row = await dedup.get(f"{IMAGES}/{await _whole_id(library, image)}")
        known = await images_known(library, [row["image_id"] for row in found["members"]])
        found["members"] = [row | {"image": known[row["image_id"]]} for row in found["members"]]
        found["pairs"] = await named(library, found["pairs"])
    return found


async def _sheet(
    data_dir: Path | None, out: Path, state: str, image: str | None, limit: int
) -> tuple[Row, bool]:
    from services.ops.clients.contact_sheet import write_sheet
    from services.ops.clients.duplicates import pictures, sheet_pairs

    rows = await _pairs(data_dir, _state(state), image, limit + 1)
    more, rows = len(rows) > limit, rows[:limit]
    async with open_ingest(data_dir) as library:
        shown = await pictures(library, [row[side] for row in rows for side in ("image_id", "other_id")])
    about = "whatever their state" if state == "all" else f"in state {state}"
    title = f"{len(rows)} pairs {about}{' (there are more)' if more else ''}"
    subtitle = (
        "The most alike first. The framed picture is suggested to stay, or was chosen. "
        "Where the two are no duplicates, end the command with --keep-both."
    )
    written = write_sheet(out, sheet_pairs(rows, shown), title, subtitle)
    return {"file": str(out), "pairs": len(rows), "bytes": written}, more
