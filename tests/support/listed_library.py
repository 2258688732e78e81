"""A library of random rows, each filter said once more in plain Python, and its HTTP side."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from contracts.taxonomy import Merge, Operation, Taxonomy
from contracts.values import DuplicateVerdict, LabelKind, QualityFlag, Source
from services.ingest.domain.labels import ImageLabel, Opinion, disagreement
from services.ingest.store import tables
from services.ingest.store.listing import ImageFilter

START = datetime(2026, 11, 1, tzinfo=UTC)
LABELS = (
    "lion", "lion/juvenile", "lion/juvenile/male", "lions", "Lion", "li_n", "l%", "l%/x", "li_n/juvenile",
    "Löwe/alt", "chimp", "bonobo/old", "'; DROP TABLE image; --", "[red]lion[/red]", "Unknown Bird",
)  # fmt: skip
FILES = (
    "IMG_1.jpg",
    "img_2.JPG",
    "100%.png",
    "a_b.png",
    "axb.png",
    "../../etc/passwd",
    "Löwe.png",
    "\\.gif",
    "",
)
TAGS = ("night", "Night", "a,b", 'say "a" b', "a", "b\\", "née", "%", "\N{LION FACE}", "[")
GUESTS = ("ada", "Ada", "o'hara", "%", "")
FLAGS = (QualityFlag.DARK, QualityFlag.BLURRY, QualityFlag.TINY)
PEOPLE = ("ada", "bob", "eve")
MERGE = Merge(into="ape", members=("chimp", "bonobo"))
TAXONOMY = Taxonomy(operations=(Operation(version=1, change=MERGE, by="ada", at=START),))


@dataclass(frozen=True)
class Picture:
    """One image as its rows have it."""

    image_id: str
    row: dict[str, Any]
    upload: dict[str, Any]
    repeat: dict[str, Any] | None
    """A later upload of the same pixels."""
    flags: frozenset[QualityFlag]
    opinions: tuple[Opinion, ...]
    double_check: str | None
    """Reason of the open one."""

    @property
    def label(self) -> ImageLabel:
        return ImageLabel(self.row["label"], self.row["label_kind"], self.row["label_revision"])

    @property
    def disagreed(self) -> bool:
        return disagreement(self.label, "ada" if self.row["label"] else None, self.opinions)


def picture(chance: random.Random, number: int) -> Picture:
    """Image number ``number``, all else at random."""
    image_id = hashlib.sha256(f"{number} {chance.random()}".encode()).hexdigest()
    upload_id = f"upload-{number:05d}"
    label = chance.choice([None, *LABELS])
    kind = None if label is None else chance.choice([LabelKind.CLASS, LabelKind.CLASS, *LabelKind])
    row = {
        **_objects(image_id), "image_id": image_id, "pixel_sha256": image_id, "upload_id": upload_id,
        "width_px": 4000, "height_px": 3000, "image_format": "JPEG",
        "quality": [{"name": "sharpness", "value": 0.5}], "source": chance.choice(list(Source)),
        "guest": chance.choice([None, *GUESTS]), "visit": chance.choice([None, "v1", "v2"]),
        "tags": chance.choice([None, [], chance.sample(TAGS, 2), chance.sample(TAGS, 3)]), "taken_at": None,
        "accepted_at": START + timedelta(seconds=number), "label": label, "label_kind": kind,
        "label_revision": int(label is not None), "benchmark": chance.choice([None, None, "difficult", "own set"]),
        "benchmark_revision": 0, "verdict": chance.choice([None, *DuplicateVerdict]), "group_id": image_id,
        "duplicate_of": None, "verdict_revision": 1,
    }  # fmt: skip
    upload = _upload(
        upload_id, image_id, None, chance.choice(FILES), chance.choice([None, "up 1", f"u{number}"])
    )
    repeat = None
    if chance.random() < 0.3:
        copy = hashlib.sha256(upload_id.encode()).hexdigest()
        repeat = _upload(
            f"again-{number:05d}", copy, image_id, "copy.png", chance.choice([None, "up 1", "up 2"])
        )
    given = tuple(
        Opinion(chance.choice(PEOPLE), chance.choice(LABELS[:3]), LabelKind.CLASS)
        for _ in range(chance.choice([0, 0, 2]))
    )
    flags = frozenset(flag for flag in FLAGS if chance.random() < 0.4)
    return Picture(image_id, row, upload, repeat, flags, given, chance.choice([None, None, "look again"]))


def fill(connection: sa.Connection, pictures: Sequence[Picture]) -> None:
    """Store the pictures; the taxonomy is stored by ``merge``."""
    _insert(connection, tables.image, [one.row for one in pictures])
    uploads = [one.upload for one in pictures] + [one.repeat for one in pictures if one.repeat]
    _insert(connection, tables.upload, uploads)
    _insert(connection, tables.image_flag, [
        {"image_id": one.image_id, "flag": flag, "value": 0.1, "threshold": 0.2}
        for one in pictures for flag in sorted(one.flags)
    ])  # fmt: skip
    _insert(connection, tables.label_change, [
        {"image_id": one.image_id, "revision": 1, "label": one.row["label"], "label_kind": one.row["label_kind"],
         "changed_by": "ada", "changed_at": START}
        for one in pictures if one.row["label"]
    ])  # fmt: skip
    _insert(connection, tables.opinion, [
        {"image_id": one.image_id, "revision": revision, "label": said.text, "label_kind": said.kind,
         "given_by": said.by, "given_at": START}
        for one in pictures for revision, said in enumerate(one.opinions, start=1)
    ])  # fmt: skip
    done = {
        "requested_by": "ada",
        "requested_at": START,
        "verdict": "keep",
        "checked_by": "bob",
        "checked_at": START,
    }
    _insert(connection, tables.double_check, [
        {"image_id": one.image_id, "revision": 1, "reason": "first look", **done} for one in pictures
    ])  # fmt: skip
    _insert(connection, tables.double_check, [
        {"image_id": one.image_id, "revision": 2, "reason": one.double_check, "requested_by": "eve", "requested_at": START}
        for one in pictures if one.double_check
    ])  # fmt: skip


def merge(connection: sa.Connection) -> None:
    """Store TAXONOMY."""
    rows = [{"version": one.version, "operation": one.model_dump(mode="json")} for one in TAXONOMY.operations]
    _insert(connection, tables.taxonomy_operation, rows)


REFERENCE: dict[str, Callable[[Picture, Any], bool]] = {
    "label": lambda one, name: (
        (one.row["label"] or "") == name or (one.row["label"] or "").startswith(f"{name}/")
    ),
    "class_name": lambda one, name: (
        one.row["label_kind"] == LabelKind.CLASS and TAXONOMY.at(1).class_of(one.row["label"]) == name
    ),
    "kind": lambda one, kind: one.row["label_kind"] == kind,
    "unlabelled": lambda one, wanted: (one.row["label"] is None) == wanted,
    "flags": lambda one, flags: one.flags >= set(flags),
    "tag": lambda one, tag: tag in (one.row["tags"] or []),
    "double_check": lambda one, wanted: (one.double_check is not None) == wanted,
    "disagreement": lambda one, wanted: one.disagreed == wanted,
    "file": lambda one, part: part.lower() in one.upload["file_name"].lower(),
    "upstream_id": lambda one, name: name in {up["upstream_id"] for up in (one.upload, one.repeat) if up},
    **{
        name: lambda one, value, name=name: one.row[name] == value  # type: ignore[misc]
        for name in ("source", "guest", "visit", "benchmark", "verdict")
    },
}
"""Field of ImageFilter -> whether the picture fits its value."""

VALUES: dict[str, tuple[Any, ...]] = {
    "label": (*LABELS, "l", "_", "%", "lion/", "absent"),
    "class_name": ("ape", "chimp", "bonobo", "lion", "lion/juvenile", "absent"),
    "kind": tuple(LabelKind),
    "unlabelled": (True, False),
    "flags": ((), FLAGS[:1], FLAGS[:2], FLAGS),
    "source": tuple(Source),
    "guest": (*GUESTS, "absent"),
    "visit": ("v1", "absent"),
    "tag": (*TAGS, "absent", ",", "nigh", '"', "\\"),
    "benchmark": ("difficult", "own set", "absent"),
    "verdict": tuple(DuplicateVerdict),
    "double_check": (True, False),
    "disagreement": (True, False),
    "file": ("img", ".PNG", "%", "_", "a_b", "\\", "..", "Löwe", "absent"),
    "upstream_id": ("up 1", "up 2", "u7", "absent"),
}
"""What is asked for, by field of ImageFilter."""


def expected(pictures: Sequence[Picture], asked: dict[str, Any]) -> list[str]:
    """Ids of the pictures that fit all of ``asked``, sorted."""
    return sorted(
        one.image_id for one in pictures if all(REFERENCE[name](one, value) for name, value in asked.items())
    )


def as_filter(asked: dict[str, Any]) -> ImageFilter:
    """The same question to the store."""
    return ImageFilter(**asked)


def _objects(image_id: str) -> dict[str, Any]:
    ref = {"bucket": "library", "key": image_id, "size": 1, "sha256": image_id}
    return {name: {**ref, "key": f"{name}/{image_id}"} for name in ("original", "normalised", "thumbnail")}


def _upload(
    upload_id: str, image_id: str, same_as: str | None, file_name: str, upstream_id: str | None
) -> dict[str, Any]:
    return {
        "upload_id": upload_id, "image_id": image_id, "object": {}, "file_name": file_name, "uploaded_by": "ada",
        "uploaded_at": START, "upstream_id": upstream_id, "outcome": "repeated" if same_as else "accepted",
        "same_as": same_as, "settled_at": START,
    }  # fmt: skip


def _insert(connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        connection.execute(sa.insert(table), list(rows))
