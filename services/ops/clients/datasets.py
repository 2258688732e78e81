"""The trainer's word on its data sets, beside what ingest knows of an image that is in none."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from services.ops.clients.errors import NotThere
from services.ops.clients.library import Library, Param

Row = dict[str, Any]

DATASETS = "/api/v1/datasets"
IMAGES = "/api/v1/images"
PREVIEW = "preview"
ASKED_AT_ONCE = 100
"""Images of one question: their ids stand in its address."""


async def summary_of(trainer: Library, which: str, **numbers: Param) -> Row:
    """The data set of a model, or of a run that would start now (``preview``, with its numbers)."""
    found: Row = await trainer.get(f"{DATASETS}/{which}", **numbers)
    return found


async def explained(trainer: Library, library: Library, which: str, images: Sequence[str]) -> Row:
    """Why each image is where it is; the answer's ``images`` are in the order of the question."""
    answer: Row = {}
    rows: list[Row] = []
    for first in range(0, len(images), ASKED_AT_ONCE):
        asked = list(images[first : first + ASKED_AT_ONCE])
        answer = await trainer.get(f"{DATASETS}/{which}/images", image_id=asked)
        rows += answer["images"]
    for row in rows:
        if row["side"] is None:
            row["change"] = await _absence(library, row["image_id"], answer["packed_at"])
    return answer | {"images": rows}


async def _absence(library: Library, image_id: str, packed_at: str) -> str:
    """Why a snapshot does not hold the image, and what to do about it."""
    try:
        known = await library.get(f"{IMAGES}/{image_id}")
    except NotThere:
        return "The library does not know it either: `menagerie images` lists those there are."
    if known["verdict"] is None:
        return "It still waits for dedup's verdict, and a snapshot holds only what has one."
    accepted = datetime.fromisoformat(known["accepted_at"])
    if accepted > datetime.fromisoformat(packed_at):
        came = f"The library accepted it later, at {accepted:%Y-%m-%d %H:%M}"
    else:
        came = "Its verdict on duplicates came later"
    return f"{came}: pack a new snapshot (`menagerie snapshot`) and train on that."
