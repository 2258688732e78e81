"""The unit of a split: images that show the same thing stay on one side together."""

from __future__ import annotations

import hashlib
import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from contracts.manifests import SnapshotRow
from contracts.values import ImageId
from services.trainer.domain.table import Table

LARGEST_VISIT = 12
"""One guest's photos of one class count as one visit up to this many: the validation side of a
full class (10 % of 125). A guest with more is a photographer, whose photos are split singly."""

SCALE = 2.0**64
TWO_NUMBERS = struct.Struct(">QQ")
GROUP = "group:"
Names = tuple[str, ...]
"""Of the group and the unit of an image."""


class Place(NamedTuple):
    """Two independent numbers in [0, 1) of a unit: which side it belongs on, and its turn there."""

    side: float
    turn: float


def place_of(unit: str) -> Place:
    """A pure function of the unit's name: the same in every run, on every machine."""
    side, turn = TWO_NUMBERS.unpack_from(hashlib.sha256(unit.encode()).digest())
    return Place(side / SCALE, turn / SCALE)


@dataclass(frozen=True)
class Units:
    """Units of a snapshot: the number of each row's unit, the name of each unit."""

    of_row: Sequence[int]
    names: Sequence[str]
    rows: Mapping[ImageId, int]
    """Row of each image."""
    known_as: Mapping[str, int]
    """Unit of each group and visit."""

    def with_any_of(self, images: Mapping[ImageId, Names]) -> set[int]:
        """Units that hold one of ``images``; one that is no longer there, by the names it was known by."""
        found: set[int] = set()
        for image, names in images.items():
            row = self.rows.get(image)
            found |= self.left_by(image, names) if row is None else {self.of_row[row]}
        return found

    def left_by(self, image: ImageId, names: Names) -> set[int]:
        """Units of what an image has left behind, which is not there any more."""
        # What is left of its group may name it as the original.
        named = (self.known_as.get(name) for name in (*names, GROUP + image))
        return {unit for unit in named if unit is not None}


def units_of(snapshot: Table[SnapshotRow]) -> Units:
    """Duplicate groups and visits, joined where they share an image.

    A visit that the upstream system named is whole, whatever it shows; without a name one guest's few
    images of one label count as one. Verdicts of one library agree on its groups; a snapshot taken while
    they are revised may hold an image whose original has moved on to another group: they stay together.

    A unit is called after its first visit, and without one after its first group: an image that joins
    a visit does not change the visit's name, and with it the side; nor does the order of rows.
    """
    joined = _Joined()
    firsts: list[int] = []
    for group, others in _names(snapshot):
        first = joined.node(group)
        firsts.append(first)
        for other in others:
            joined.join(first, joined.node(other))
    names, unit_of_node = joined.components()
    images = snapshot.column("image_id")
    return Units(
        of_row=[unit_of_node[node] for node in firsts],
        names=names,
        rows={image: row for row, image in enumerate(images)},
        known_as={name: unit_of_node[node] for name, node in joined.numbers.items()},
    )


def _names(snapshot: Table[SnapshotRow]) -> Iterator[tuple[str, list[str]]]:
    """Of each row the name of its group, and all other names that it is one with."""
    image_ids, groups, originals, guests, labels, visits = (
        snapshot.column(name)
        for name in ("image_id", "group", "near_duplicate_of", "guest", "label", "visit")
    )
    group_of = dict(zip(image_ids, groups, strict=True))
    sizes = Counter(
        (guest, label)
        for guest, label, visit in zip(guests, labels, visits, strict=True)
        if guest and label and not visit
    )
    for group, original, guest, label, visit in zip(groups, originals, guests, labels, visits, strict=True):
        others = [
            GROUP + named
            for named in (group_of.get(group), None if original is None else group_of.get(original, original))
            if named is not None and named != group
        ]
        if visit:
            others.append(f"named:{len(guest or '')}:{guest or ''}:{visit}")
        elif guest and label and sizes[guest, label] <= LARGEST_VISIT:
            others.append(f"visit:{len(guest)}:{guest}:{label}")
        yield GROUP + group, others


class _Joined:
    """Names that are one, as a forest (union by smaller number, paths halved)."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self._parent: list[int] = []

    def node(self, name: str) -> int:
        number = self.numbers.get(name)
        if number is None:
            number = self.numbers[name] = len(self._parent)
            self._parent.append(number)
        return number

    def join(self, one: int, other: int) -> None:
        first, second = self._root(one), self._root(other)
        if first != second:
            self._parent[max(first, second)] = min(first, second)

    def _root(self, node: int) -> int:
        parent = self._parent
        while parent[node] != node:
            parent[node] = node = parent[parent[node]]
        return node

    def components(self) -> tuple[list[str], list[int]]:
        """The name of each component, and the component of each node."""
        number: dict[int, int] = {}
        names: list[str] = []
        of_node: list[int] = []
        for name, node in self.numbers.items():
            component = number.setdefault(self._root(node), len(names))
            of_node.append(component)
            if component == len(names):
                names.append(name)
            else:
                names[component] = min(names[component], name, key=_precedence)
        return names, of_node


def _precedence(name: str) -> tuple[bool, str]:
    return name.startswith(GROUP), name
