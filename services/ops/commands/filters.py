"""Options that choose images: ``images`` lists what they fit, ``export`` writes it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

Label = Annotated[str | None, typer.Option("--label", help="With this label or one below it.")]
ClassName = Annotated[str | None, typer.Option("--class", help="In this class of the newest taxonomy.")]
Kind = Annotated[str | None, typer.Option("--kind", help="class, unknown, out-of-scope or rejected.")]
Flags = Annotated[list[str] | None, typer.Option("--flag", help="With this quality flag; all of several.")]
FromSource = Annotated[str | None, typer.Option("--source", help="real, staged or synthetic.")]
Guest = Annotated[str | None, typer.Option("--guest", help="Taken by this guest.")]
Visit = Annotated[str | None, typer.Option("--visit", help="Taken at this visit.")]
Tag = Annotated[str | None, typer.Option("--tag", help="With this tag.")]
Benchmark = Annotated[str | None, typer.Option("--benchmark", help="In this benchmark set.")]
Verdict = Annotated[str | None, typer.Option("--verdict", help="unique, near (duplicate) or burst.")]
DoubleCheck = Annotated[bool, typer.Option("--double-check", help="Waiting for another look.")]
Disagreement = Annotated[
    bool, typer.Option("--disagreement", help="Where an opinion differs from the label.")
]
FileText = Annotated[str | None, typer.Option("--file", help="With this text in the file name.")]
UpstreamId = Annotated[
    str | None, typer.Option("--upstream-id", help="Uploaded under this id of the upstream system.")
]


def image_query(
    *, label_name: str | None, class_name: str | None, flag: list[str] | None, double_check: bool,
    disagreement: bool, **others: str | bool | None,
) -> dict[str, Any]:  # fmt: skip
    """Parameters of ``GET /api/v1/images``; what was not asked for is None."""
    return {
        **others,
        "label": label_name,
        "class": class_name,
        "flag": flag or None,
        "double_check": double_check or None,
        "disagreement": disagreement or None,
    }
