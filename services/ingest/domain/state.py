"""The state of the library that a snapshot packs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from contracts.values import ImageId, LabelKind, ObjectRef, Source


@dataclass(frozen=True, slots=True)
class LibraryImage:
    """One image with everything a snapshot says of it; ``shard_number`` never changes once given."""

    image_id: ImageId
    normalised: ObjectRef
    label: str | None
    label_kind: LabelKind | None
    source: Source
    guest: str | None
    visit: str | None
    group: str
    near_duplicate_of: ImageId | None
    benchmark: str | None
    shard_number: int


@dataclass(frozen=True)
class StateCounts:
    """What a snapshot holds; ``classes`` counts those that its labels are trained as."""

    images: int
    labelled: int
    unlabelled: int
    classes: int


def count(images: Sequence[LibraryImage], class_names: Iterable[str | None]) -> StateCounts:
    """Counts of a state; ``class_names`` are its images', None where there is no class."""
    labelled = sum(image.label is not None for image in images)
    classes = set(class_names) - {None}
    return StateCounts(len(images), labelled, len(images) - labelled, len(classes))
