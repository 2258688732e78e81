"""The state of the library that a snapshot packs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from contracts.values import ImageId, LabelKind, ObjectRef, Source

TAXONOMY_VERSION = 1  # no merge rules yet: a label is its own class
PACKING_VERSION = 1  # raise it when the same state is to give other bytes


@dataclass(frozen=True)
class LibraryImage:
    """One image with everything a snapshot says of it."""

    image_id: ImageId
    normalised: ObjectRef
    label: str | None
    label_kind: LabelKind | None
    source: Source
    guest: str | None
    group: str
    near_duplicate_of: ImageId | None
    benchmark: str | None


@dataclass(frozen=True)
class StateCounts:
    """What a snapshot holds; ``classes`` counts labels that may be trained on."""

    images: int
    labelled: int
    unlabelled: int
    classes: int


def snapshot_id(images: Sequence[LibraryImage], image_size_px: int, shard_images: int) -> str:
    """First 16 hex digits of the SHA-256 of the state; ``images`` are sorted by image id."""
    digest = hashlib.sha256(f"{PACKING_VERSION} {TAXONOMY_VERSION} {image_size_px} {shard_images}\n".encode())
    for image in images:
        row = (
            image.image_id, image.normalised.sha256, image.label, image.label_kind, image.source,
            image.guest, image.group, image.near_duplicate_of, image.benchmark,
        )  # fmt: skip
        digest.update(json.dumps(row).encode() + b"\n")
    return digest.hexdigest()[:16]


def count(images: Sequence[LibraryImage]) -> StateCounts:
    """Counts of a state."""
    labelled = sum(image.label is not None for image in images)
    classes = {image.label for image in images if image.label_kind == LabelKind.CLASS}
    return StateCounts(len(images), labelled, len(images) - labelled, len(classes))
