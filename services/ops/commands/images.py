"""``menagerie images`` and ``menagerie image``: what is in the library, as it is now."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.ops.clients.output import Output, facts, moment, plain, table
from services.ops.commands import filters, saving
from services.ops.commands.options import AsJson, DataDir
from services.ops.commands.session import open_ingest, run

if TYPE_CHECKING:
    from rich.console import Group

PATH = "/api/v1/images"
SHORT_ID = 12
"""Digits shown in tables; every command takes a beginning of an id."""
SHOWN = 50
ALL = 1_000_000
RENDITIONS = ("original", "normalised", "thumbnail")


def images(
    label_name: filters.Label = None,
    class_name: filters.ClassName = None,
    kind: filters.Kind = None,
    unlabelled: Annotated[bool, typer.Option("--unlabelled", help="Without a label.")] = False,
    flag: filters.Flags = None,
    source: filters.FromSource = None,
    guest: filters.Guest = None,
    visit: filters.Visit = None,
    tag: filters.Tag = None,
    benchmark: filters.Benchmark = None,
    verdict: filters.Verdict = None,
    double_check: filters.DoubleCheck = False,
    disagreement: filters.Disagreement = False,
    file: filters.FileText = None,
    upstream_id: filters.UpstreamId = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, max=ALL, help="At most so many; default: 50, with --ids all."),
    ] = None,
    ids: Annotated[bool, typer.Option("--ids", help="Print one id a line, for pipes.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Query the library; filters combine with AND."""
    query = filters.image_query(
        label_name=label_name, class_name=class_name, kind=kind, unlabelled=unlabelled or None, flag=flag,
        source=source, guest=guest, visit=visit, tag=tag, benchmark=benchmark, verdict=verdict,
        double_check=double_check, disagreement=disagreement, file=file, upstream_id=upstream_id,
    )  # fmt: skip
    output = Output(as_json)
    most = limit or (ALL if ids else SHOWN)
    rows = run(_images(data_dir, most + 1, query))
    more, rows = len(rows) > most, rows[:most]
    if ids and not as_json:
        typer.echo("".join(f"{row['image_id']}\n" for row in rows), nl=False)
    else:
        output.end({"images": rows, "more": more}, _table(rows, more))
    if more:
        output.warn(
            f"The first {most} are shown and there are more: --limit {min(10 * most, ALL)} shows more of them"
        )


async def _images(data_dir: Path | None, limit: int, query: dict[str, Any]) -> list[dict[str, Any]]:
    async with open_ingest(data_dir) as library:
        return [row async for row in library.rows(PATH, "images", limit=limit, **query)]


def _table(rows: list[dict[str, Any]], more: bool) -> Group:
    columns = ("image", "file_name", "label", "flags", "verdict", "source", "benchmark")
    shown = [
        (
            row["image_id"][:SHORT_ID],
            row["file_name"],
            label_text(row["label"], row["kind"]),
            ", ".join(flag["flag"] for flag in row["flags"]) or None,
            row["verdict"],
            row["source"],
            row["benchmark"],
        )
        for row in rows
    ]
    return table(f"{len(rows)} images{' and more' if more else ''}", columns, shown)


def image(
    image_id: Annotated[
        str, typer.Argument(metavar="IMAGE", help="The image's id, or its first 6 digits and more.")
    ],
    save: Annotated[
        Path | None, typer.Option("--save", metavar="FILE", dir_okay=False, help="Write the picture there.")
    ] = None,
    rendition: Annotated[
        str, typer.Option("--rendition", help="Which one to save: original, normalised or thumbnail.")
    ] = "original",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Tell everything about one image, or save its picture."""
    from services.ops.clients.selection import named_images

    if rendition not in RENDITIONS:
        raise typer.BadParameter(
            f"{rendition!r} is not one of {', '.join(RENDITIONS)}", param_hint="--rendition"
        )
    found, content = run(_image(data_dir, named_images([image_id]), None if save is None else rendition))
    if save is not None:
        saving.save(save, content)
        data = {"image_id": found["image_id"], "file": str(save), "bytes": len(content)}
        Output(as_json).end(data, facts(f"The {rendition} picture", data))
        return
    Output(as_json).end(found, *image_tables(found))


async def _image(
    data_dir: Path | None, named: list[str], rendition: str | None
) -> tuple[dict[str, Any], bytes]:
    from services.ops.clients.selection import whole_ids

    async with open_ingest(data_dir) as library:
        [image_id] = await whole_ids(library, named)
        if rendition is None:
            return await library.get(f"{PATH}/{image_id}"), b""
        return {"image_id": image_id}, await library.content(f"{PATH}/{image_id}/{rendition}")


def image_tables(found: dict[str, Any]) -> list[Group]:
    """One image: what it is, what was measured, and what was said of it."""
    sections = {
        "Flags": (("flag", "value", "threshold"), "flags"),
        "Measures": (("name", "value"), "quality"),
        "Opinions": (("label", "kind", "by", "at", "reason"), "opinion_list"),
        "Double-checks": (("reason", "by", "at", "verdict", "checked_by", "checked_at"), "double_checks"),
        "Benchmark sets": (("from", "to", "by", "at", "reason"), "benchmark_history"),
        "Uploads": (("upload_id", "state", "file_name", "upstream_id", "uploaded_by"), "uploads"),
    }  # fmt: skip
    history = [
        (
            label_text(row["from"], row["from_kind"]),
            label_text(row["to"], row["to_kind"]),
            row["by"],
            moment(row["at"]),
            row["reason"],
            row["change_id"],
        )
        for row in found["history"]
    ]
    columns = ("from", "to", "by", "at", "reason", "change")
    return [
        facts(f"Image {found['image_id']}", _facts(found)),
        table("Label history", columns, history),
        *(
            table(title, names, [_cells(row, names) for row in found[key]])
            for title, (names, key) in sections.items()
            if found[key]
        ),
    ]


def _facts(found: dict[str, Any]) -> dict[str, Any]:
    suggested = found["suggestion"]
    offered = suggested and ", ".join(
        f"{plain(one['label'])} {one['confidence']:.1f}" for one in suggested["top"]
    )
    return {
        "label": label_text(found["label"], found["kind"]),
        "class": found["class_name"],
        "file name": found["file_name"],
        "picture": f"{found['image_format']}, {found['width_px']} x {found['height_px']} pixels",
        "source": found["source"],
        "guest": found["guest"],
        "visit": found["visit"],
        "tags": ", ".join(found["tags"]) or None,
        "taken at": moment(found["taken_at"]),
        "accepted at": moment(found["accepted_at"]),
        "benchmark": found["benchmark"],
        "verdict": found["verdict"],
        "duplicate of": found["duplicate_of"],
        "waits for another look": found["double_check"],
        "opinions differ": found["disagreement"],
        "a model offers": offered and f"{offered} (model {suggested['model_version']})",
    }


def label_text(label: str | None, kind: str | None) -> str | None:
    """A label, with its kind where that is not the usual one."""
    return label if label is None or kind in {None, "class"} else f"{label} ({kind})"


def _cells(row: dict[str, Any], names: tuple[str, ...]) -> list[Any]:
    return [moment(row[name]) if name.endswith("at") and row[name] else row[name] for name in names]
