"""A data set with all that explains it, and what the ancestors of its model have seen of it."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from contracts.manifests import DatasetRow, SnapshotRow
from contracts.training import DatasetRules
from contracts.values import ImageId, ModelVersion, Side
from services.trainer.domain.classes import classes_trained_as
from services.trainer.domain.rules import Rule
from services.trainer.domain.seen import seen_by
from services.trainer.domain.table import Table
from services.trainer.domain.units import Units, units_of

SEEING = {Side.TRAIN: "trained on", Side.VALIDATION: "validated with"}


@dataclass(frozen=True)
class Ancestor:
    """A model that this one grew from."""

    version: ModelVersion
    dataset: Table[DatasetRow]


class Sighting(NamedTuple):
    """An ancestor that learned from ``image``."""

    version: ModelVersion
    side: Side
    image: ImageId

    def of(self, which: str) -> str:
        """In words."""
        return f"model {self.version} {SEEING[self.side]} {which}"


def place_in(dataset: Table[DatasetRow], image_id: ImageId) -> int | None:
    """The row of an image; rows are sorted by image."""
    images: Sequence[str] = dataset.column("image_id")
    place = bisect_left(images, image_id)
    return place if place < len(images) and images[place] == image_id else None


class Known:
    """A data set with all that explains it; what many images need is found once.

    ``dataset`` was built by ``rules`` out of ``snapshot``, which is sorted as it is. Ancestors are
    newest first.
    """

    def __init__(
        self,
        dataset: Table[DatasetRow],
        snapshot: Table[SnapshotRow],
        rules: DatasetRules,
        ancestors: Sequence[Ancestor],
    ) -> None:
        self.dataset, self.snapshot, self.rules, self.ancestors = dataset, snapshot, rules, ancestors
        self._learned: dict[str, list[Sighting]] = {}

    @cached_property
    def classes(self) -> list[str | None]:
        """What each row would be trained as, whether that class is trained or not."""
        return classes_trained_as(self.snapshot)

    @cached_property
    def class_counts(self) -> Mapping[str | None, Counter[Rule]]:
        """Images of each class by rule."""
        counts: dict[str | None, Counter[Rule]] = defaultdict(Counter)
        for name, rule in zip(self.classes, self.dataset.column("rule"), strict=True):
            counts[name][Rule(rule)] += 1
        return counts

    @cached_property
    def units(self) -> Sequence[str]:
        """What decides the side of each row."""
        named: Sequence[str | None] = self.dataset.column("unit")
        if None not in named:
            return [str(name) for name in named]
        # A manifest of before units were written down.
        return [self.divided.names[unit] for unit in self.divided.of_row]

    @cached_property
    def divided(self) -> Units:
        """The units that the snapshot has."""
        return units_of(self.snapshot)

    @cached_property
    def rows_of_unit(self) -> Mapping[str, list[int]]:
        """The rows of each unit."""
        rows: dict[str, list[int]] = defaultdict(list)
        for row, unit in enumerate(self.units):
            rows[unit].append(row)
        return rows

    def learned_of(self, unit: str) -> list[Sighting]:
        """What ancestors learned from of a unit: trained ones first, what has left the library last."""
        if unit not in self._learned:
            rows = self.rows_of_unit[unit]
            there = [one for row in rows for one in self._sightings(self.snapshot.column("image_id")[row])]
            units = dict.fromkeys(self.divided.of_row[row] for row in rows) if self.left_behind else {}
            gone = [self.left_behind[number] for number in units if number in self.left_behind]
            self._learned[unit] = sorted([*there, *gone], key=lambda one: list(SEEING).index(one.side))
        return self._learned[unit]

    def _sightings(self, image: ImageId) -> Iterator[Sighting]:
        """Ancestors that learned from the image, newest first."""
        for ancestor in self.ancestors:
            place = place_in(ancestor.dataset, image)
            side = None if place is None else ancestor.dataset.column("side")[place]
            if side in SEEING:
                yield Sighting(ancestor.version, side, image)

    @cached_property
    def left_behind(self) -> Mapping[int, Sighting]:
        """Of each unit an image that was learned from and has left the library, trained ones first."""
        found: dict[int, Sighting] = {}
        there = set(self.snapshot.column("image_id"))
        lines = [(one.version, seen_by([one.dataset])) for one in self.ancestors]
        for side in SEEING:
            told: set[ImageId] = set()
            for version, seen in lines:
                for image, names in (seen.trained if side is Side.TRAIN else seen.validated).items():
                    if image in told or image in there:
                        continue
                    told.add(image)
                    for unit in self.divided.left_by(image, names):
                        found.setdefault(unit, Sighting(version, side, image))
        return found
