"""Pairs that look alike: dedup's word on them, beside what ingest knows of the two images."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar

from services.ops.clients.contact_sheet import SheetPair, SheetPicture
from services.ops.clients.errors import NotThere
from services.ops.clients.library import Library, Param

Row = dict[str, Any]
T = TypeVar("T")

PAIRS = "/api/v1/pairs"
IMAGES = "/api/v1/images"
THRESHOLDS = "/api/v1/thresholds"
SHORT_ID = 12
ASKED_AT_ONCE = 8
TURNED = {
    "flip-left-right": "mirrored",
    "flip-top-bottom": "mirrored top to bottom",
    "rotate-90": "turned by 90\N{DEGREE SIGN}",
    "rotate-180": "turned by 180\N{DEGREE SIGN}",
    "rotate-270": "turned by 270\N{DEGREE SIGN}",
    "transpose": "mirrored, turned by 90\N{DEGREE SIGN}",
    "transverse": "mirrored, turned by 270\N{DEGREE SIGN}",
}
KNOWN_OF_IMAGE = ("file_name", "label", "kind", "source", "guest", "taken_at", "width_px", "height_px")


async def read_pairs(dedup: Library, limit: int, **filters: Param) -> list[Row]:
    """At most ``limit`` pairs that fit, the most alike first."""
    return [row async for row in dedup.rows(PAIRS, "pairs", limit=limit, **filters)]


async def named(library: Library, pairs: Sequence[Row]) -> list[Row]:
    """The pairs, each with ``image`` and ``other``: what ingest knows of the two; None when it has none."""
    ids = {pair[side] for pair in pairs for side in ("image_id", "other_id")}
    known = await images_known(library, ids)
    return [pair | {"image": known[pair["image_id"]], "other": known[pair["other_id"]]} for pair in pairs]


async def images_known(library: Library, image_ids: Iterable[str]) -> dict[str, Row | None]:
    """What ingest knows of each image."""

    async def known(image_id: str) -> Row | None:
        try:
            found = await library.get(f"{IMAGES}/{image_id}")
        except NotThere:  # dedup hears of an image a moment before or after
            return None
        return {name: found[name] for name in KNOWN_OF_IMAGE}

    return await _each(known, image_ids)


async def pictures(library: Library, image_ids: Iterable[str]) -> dict[str, bytes | None]:
    """The thumbnail of each image, as WebP."""

    async def thumbnail(image_id: str) -> bytes | None:
        try:
            return await library.content(f"{IMAGES}/{image_id}/thumbnail")
        except NotThere:
            return None

    return await _each(thumbnail, image_ids)


async def _each(ask: Callable[[str], Awaitable[T]], names: Iterable[str]) -> dict[str, T]:
    gate = asyncio.Semaphore(ASKED_AT_ONCE)

    async def one(name: str) -> tuple[str, T]:
        async with gate:
            return name, await ask(name)

    return dict(await asyncio.gather(*(one(name) for name in dict.fromkeys(names))))


def sheet_pairs(pairs: Iterable[Row], shown: dict[str, bytes | None]) -> list[SheetPair]:
    """Pairs of ``named`` as a contact sheet takes them; ``shown`` are their pictures."""
    return [
        SheetPair(
            _side(pair, "image", shown),
            _side(pair, "other", shown),
            facts=tuple(facts_of(pair)),
            hint=_hint(pair),
        )
        for pair in pairs
    ]


def facts_of(pair: Row) -> list[str]:
    """What was measured, a few words each."""
    facts = [] if pair["distance_bits"] is None else [f"{pair['distance_bits']} bits apart"]
    if pair["similarity"] is not None:
        facts.append(f"similarity {pair['similarity']:.3f}")
    if pair["orientation"] in TURNED:
        facts.append(TURNED[pair["orientation"]])
    decided = pair["state"] if pair["by"] is None else f"{pair['state']}, said {pair['by']}"
    return [*facts, decided]


def _side(pair: Row, side: str, shown: dict[str, bytes | None]) -> SheetPicture:
    image_id, known = pair[f"{side}_id"], pair[side] or {}
    size = f"{known['width_px']} \N{MULTIPLICATION SIGN} {known['height_px']} pixels" if known else None
    guest = f"{known['source']}, {known['guest']}" if known.get("guest") else known.get("source")
    lines = (known.get("label"), size, guest, image_id[:SHORT_ID])
    return SheetPicture(
        known.get("file_name") or "without a name",
        shown.get(image_id),
        tuple(line for line in lines if line),
        keep=image_id == (pair["keep"] or pair["suggested_keep"]) and pair["state"] != "not-duplicate",
    )


def _hint(pair: Row) -> str:
    if pair["request_id"] is not None:
        return f"menagerie dedup undo {pair['request_id']}"
    if pair["state"] not in {"review", "automatic", "burst"}:
        return ""
    one, other, keep = (pair[name][:SHORT_ID] for name in ("image_id", "other_id", "suggested_keep"))
    return f"menagerie dedup resolve {one} {other} --keep {keep}"
