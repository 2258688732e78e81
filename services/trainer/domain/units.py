"""The unit of a split: images that show the same thing stay on one side together."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from contracts.manifests import SnapshotRow
from contracts.values import ImageId

LARGEST_VISIT = 12
"""One guest's photos of one class count as one visit up to this many: the validation side of a
full class (10 % of 125). A guest with more is a photographer, whose photos are split singly."""

SCALE = 2.0**64


@dataclass(frozen=True)
class Place:
    """Two independent numbers in [0, 1) of a unit: which side it belongs on, and its turn there."""

    side: float
    turn: float


def place_of(unit: str) -> Place:
    """A pure function of the unit's name: the same in every run, on every machine."""
    digest = hashlib.sha256(unit.encode()).digest()
    side, turn = (int.from_bytes(digest[start : start + 8]) / SCALE for start in (0, 8))
    return Place(side, turn)


def unit_of(rows: Sequence[SnapshotRow]) -> dict[ImageId, str]:
    """Unit of every image: duplicate groups and visits, joined where they share an image.

    A visit that the upstream system named is whole, whatever it shows; without a name one guest's few
    images of one label count as one. Verdicts of one library agree on its groups; a snapshot taken while
    they are revised may hold an image whose original has moved on to another group: they stay together.

    The name of a unit is the smallest name in it, so that it does not depend on the order of rows.
    """
    unnamed = [row for row in rows if row.guest and row.label and not row.visit]
    sizes = Counter((row.guest, row.label) for row in unnamed)
    group_of = {row.image_id: row.group for row in rows}
    parent: dict[str, str] = {}
    for row in rows:
        group = f"group:{row.group}"
        _find(parent, group)
        for original in (row.group, row.near_duplicate_of):
            if original in group_of:
                _join(parent, group, f"group:{group_of[original]}")
        guest = row.guest or ""
        if row.visit:
            _join(parent, group, f"named:{len(guest)}:{guest}:{row.visit}")
        elif row.guest and row.label and sizes[row.guest, row.label] <= LARGEST_VISIT:
            _join(parent, group, f"visit:{len(guest)}:{guest}:{row.label}")
    return {row.image_id: _find(parent, f"group:{row.group}") for row in rows}


def _find(parent: dict[str, str], name: str) -> str:
    root = name
    while (above := parent.setdefault(root, root)) != root:
        root = above
    while parent[name] != root:  # keeps later searches short
        parent[name], name = root, parent[name]
    return root


def _join(parent: dict[str, str], one: str, other: str) -> None:
    first, second = sorted((_find(parent, one), _find(parent, other)))
    parent[second] = first


def units_with(units: Mapping[ImageId, str], images: set[ImageId]) -> set[str]:
    """Units that hold one of ``images``."""
    return {units[image] for image in images if image in units}
