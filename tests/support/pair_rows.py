"""Rows of dedup's database without pictures: any images, labels, verdicts and pairs, in any state."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from services.dedup.domain.fingerprint import DETECTOR
from services.dedup.store import tables

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)


def image_id(number: int) -> str:
    """Some image's."""
    return hashlib.sha256(f"image {number}".encode()).hexdigest()


def shelve(connection: sa.Connection, images: Sequence[str], **columns: Any) -> None:
    """Images that dedup knows, without a hash; each is unique."""
    first = connection.scalar(sa.select(sa.func.count()).select_from(tables.fingerprint)) or 0
    rows = [
        {"image_id": one, "position": first + step, "change": first + step, "rank": f"upload-{first + step:06}",
         "detector": DETECTOR, **columns}
        for step, one in enumerate(images, start=1)
    ]  # fmt: skip
    connection.execute(sa.insert(tables.fingerprint), rows)
    verdicts = [{"image_id": one, "revision": 1, "verdict": "unique", "group_id": one} for one in images]
    connection.execute(sa.insert(tables.verdict), verdicts)


def near(connection: sa.Connection, image: str, of: str, distance_bits: int, verdict: str = "near") -> None:
    """Put an image into the group of another."""
    table = tables.verdict
    values = {"verdict": verdict, "group_id": of, "duplicate_of": of, "distance_bits": distance_bits}
    connection.execute(sa.update(table).where(table.c.image_id == image).values(values))


def label(connection: sa.Connection, image: str, name: str | None, kind: str = "class") -> None:
    """Give an image a label."""
    row = {"image_id": image, "revision": 1, "label": name, "kind": kind}
    connection.execute(sa.insert(tables.label).values(row))


def pair(connection: sa.Connection, one: str, other: str, distance_bits: int | None, **columns: Any) -> None:
    """A pair in review unless ``columns`` say otherwise."""
    first, second = sorted((one, other))
    row = {
        "image_id": first, "other_id": second, "revision": 1, "state": "review", "distance_bits": distance_bits,
        "orientation": "same", "detector": DETECTOR, "suggested_keep": first, "judged_at": AT, "listed": True,
        **columns,
    }  # fmt: skip
    connection.execute(sa.insert(tables.pair).values(row))
