"""``menagerie explain``: what a model's score of one image rests on, as a picture and in words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from services.ops.clients.output import Output, facts, share, table
from services.ops.commands.options import AsJson, DataDir
from services.ops.commands.saving import save
from services.ops.commands.session import open_evaluator, open_ingest, run

PATH = "/api/v1/explanations"
METHODS = ("grad-cam", "lime", "shap")
WAIT_S = 10.0
SHORT_ID = 12
PNG = b"\x89PNG"
Row = dict[str, Any]


def explain(
    image: Annotated[
        str, typer.Argument(metavar="IMAGE", help="The image's id, or its first 6 digits and more.")
    ],
    model: Annotated[
        str | None, typer.Option("--model", metavar="MODEL", help="Version such as 002; default: the newest.")
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            "--method", help="grad-cam (where, a second), lime or shap (which parts, how much; longer)."
        ),
    ] = "grad-cam",
    of_class: Annotated[
        str | None, typer.Option("--class", metavar="CLASS", help="Whose score; default: the model's answer.")
    ] = None,
    output_file: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE.png", dir_okay=False, help="Where to write the picture."),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show which parts of an image a model's score rests on, and say how far to believe it."""
    from services.ops.clients.selection import named_images

    if method not in METHODS:
        raise typer.BadParameter(f"{method!r} is not one of {', '.join(METHODS)}", param_hint="--method")
    output = Output(as_json)
    params = {"model_version": model or "newest", "method": method, "class": of_class}
    told, png = run(_explained(output, data_dir, named_images([image]), params))
    file = output_file or Path(
        f"explanation-{told['image_id'][:SHORT_ID]}-{told['model_version']}-{method}.png"
    )
    save(file, png)
    shown = {"picture": str(file), **{f"{number}": line for number, line in enumerate(told["sentences"], 1)}}
    title = (
        f"Why model {told['model_version']} sees {told['class_name']} in image {told['image_id'][:SHORT_ID]}"
    )
    output.end(told | {"file": str(file)}, facts(title, shown), *_regions(told))


async def _explained(
    output: Output, data_dir: Path | None, named: list[str], params: dict[str, Any]
) -> tuple[Row, bytes]:
    from services.ops.clients.errors import OpsError
    from services.ops.clients.selection import whole_ids

    async with open_ingest(data_dir) as library:
        [image_id] = await whole_ids(library, named)
    place = f"{PATH}/{image_id}"
    async with open_evaluator(data_dir) as evaluator:
        with output.console.status(f"Explaining by {params['method']}"):
            # No pause: the service holds its answer back for so long.
            while (told := await evaluator.get(place, wait_s=WAIT_S, **params))["state"] == "working":
                pass
            params["model_version"] = told["model_version"]  # the newest may be another by now
            png = await evaluator.content(f"{place}/overlay", wait_s=WAIT_S, **params)
    if not png.startswith(PNG):
        raise OpsError("the picture of the explanation was lost and is made again: ask once more")
    return told, png


def _regions(told: Row) -> list[Any]:
    """The parts with the largest effects, where the method knows of parts."""
    if not told["regions"]:
        return []
    columns = ("adds, points", "from left, px", "from top, px", "width, px", "height, px", "of the picture")
    rows = [
        (
            f"{100 * one['effect']:+.1f}",
            one["left_px"],
            one["top_px"],
            one["width_px"],
            one["height_px"],
            share(one["share"]),
        )
        for one in told["regions"]
    ]
    return [table("The parts that move the score most", columns, rows)]
