"""What people look at: the pairs of a report with small pictures of both sides."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from itertools import islice
from typing import Any

from services.dedup.scan.scanning import Scanner

Shown = dict[str, Any]


def with_pictures(scanner: Scanner, report: dict[str, Any], most: int) -> list[Shown]:
    """The first so many pairs; each side has a small JPEG (base64), None where it cannot be drawn."""
    chosen = list(islice(_pairs(report), most))
    numbers = {os.fsdecode(name): number for number, name in enumerate(scanner.files.names)}
    sides = {side["file"] for pair in chosen for side in (pair["keep"], pair["other"])}
    drawn = scanner.thumbnails(numbers[name] for name in sides)
    pictures = {name: base64.b64encode(drawn.get(numbers[name], b"")).decode() or None for name in sides}
    return [
        pair | {side: pair[side] | {"picture": pictures[pair[side]["file"]]} for side in ("keep", "other")}
        for pair in chosen
    ]


def _pairs(report: dict[str, Any]) -> Iterator[Shown]:
    """What a person has to decide comes first, what needs no second look last."""
    for pair in report["review"]:
        yield {"kind": "review", **pair}
    for kind in ("near", "exact"):
        for group in report[kind]:
            for copy in group["copies"]:
                yield {"kind": kind, "keep": group["keep"], "other": copy, **_measured(copy)}


def _measured(copy: dict[str, Any]) -> dict[str, Any]:
    return {name: copy[name] for name in ("same", "distance_bits", "orientation") if name in copy}
