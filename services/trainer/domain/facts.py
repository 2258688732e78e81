"""What is known of one image of a data set, in the words that the sentences of ``rules`` have places for."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from contracts.manifests import DatasetRow, SnapshotRow
from contracts.training import DatasetRules
from contracts.values import ImageId, LabelKind, ModelVersion, Side
from services.trainer.domain.classes import classes_trained_as
from services.trainer.domain.rules import SIDES, Rule
from services.trainer.domain.summary import needed, usable
from services.trainer.domain.table import Table
from services.trainer.domain.units import GROUP, units_of

SHORT_ID = 12
"""Digits of an image id in a sentence; commands take them."""
SEEING = {Side.TRAIN: "trained on", Side.VALIDATION: "validated with"}


@dataclass(frozen=True)
class Ancestor:
    """A model that this one grew from."""

    version: ModelVersion
    dataset: Table[DatasetRow]


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
        units = units_of(self.snapshot)  # a manifest of before units were written down
        return [units.names[unit] for unit in units.of_row]

    @cached_property
    def rows_of_unit(self) -> Mapping[str, list[int]]:
        """The rows of each unit."""
        rows: dict[str, list[int]] = defaultdict(list)
        for row, unit in enumerate(self.units):
            rows[unit].append(row)
        return rows


class Facts:
    """Of the row at ``place``."""

    def __init__(self, known: Known, place: int) -> None:
        self._known, self._rules, self._ancestors = known, known.rules, known.ancestors
        self._snapshot, self._place = known.snapshot, place
        self.row, self._packed = known.dataset[place], known.snapshot[place]
        self.rule = Rule(self.row.rule)
        self.class_name = known.classes[place]
        self.unit = known.units[place]

    def words(self) -> dict[str, str]:
        """A few words for each place in a sentence."""
        counts, row = self._known.class_counts[self.class_name], self.row
        out = {rule: count for rule, count in counts.items() if SIDES[rule] is Side.OUT}
        mate = self._benchmark_mate
        return {
            "image": row.image_id[:SHORT_ID],
            "label": repr(row.label),
            "class_name": repr(self.class_name),
            "source": row.source.value,
            "benchmark": repr(row.benchmark),
            "original": (self._packed.near_duplicate_of or "")[:SHORT_ID],
            "mate": "" if mate is None else mate.image_id[:SHORT_ID],
            "mate_benchmark": "" if mate is None else repr(mate.benchmark),
            "bond": "" if mate is None else self._bond_with(mate),
            "unit": self._unit_words,
            "drawn": f"{self._unit_words} is drawn by lot, once and for all runs, to",
            "seen": self.seen or "an ancestor learned from what belongs to it",
            "no_place": self._no_place(counts),
            "usable": str(usable(Counter(out))),
            "needed": str(needed(row.class_name is not None, Counter(out), self._rules)),
            "minimum": str(self._rules.minimum_per_class),
            "maximum": str(self._rules.maximum_per_class),
            "staged_cap": str(self._rules.staged_cap),
        }

    @cached_property
    def mates(self) -> list[int]:
        """The other rows of the unit."""
        return [row for row in self._known.rows_of_unit[self.unit] if row != self._place]

    @cached_property
    def _unit_words(self) -> str:
        count, packed = len(self.mates) + 1, self._packed
        if count == 1:
            return "it, by itself,"
        if packed.visit:
            what = f"its visit {packed.visit!r}"
        elif packed.guest and not self.unit.startswith(GROUP):
            what = f"the visit of guest {packed.guest!r}"
        else:
            what = "its group"
        return f"{what} of {count} images"

    @cached_property
    def _benchmark_mate(self) -> SnapshotRow | None:
        mates = (self._snapshot[mate] for mate in self.mates)
        return next(
            (mate for mate in mates if mate.benchmark and mate.label_kind is not LabelKind.REJECTED), None
        )

    def _bond_with(self, other: SnapshotRow) -> str:
        own = self._packed
        if own.group == other.group:
            return "the same group of look-alikes"
        if own.visit and (own.guest, own.visit) == (other.guest, other.visit):
            return f"the same visit {own.visit!r}"
        if own.guest and (own.guest, own.label) == (other.guest, other.label):
            return f"the few photos of {own.label!r} by guest {own.guest!r}"
        return "by way of others that belong to both"

    @cached_property
    def seen(self) -> str | None:
        """Which ancestor learned from the image, or from one that belongs together with it."""
        own = [f"model {version} {SEEING[side]} it" for version, side in self._seen_as(self.row.image_id)]
        if own:
            return " and ".join(own[-2:])
        for mate in (self._snapshot[mate] for mate in self.mates):
            for version, side in self._seen_as(mate.image_id):
                which = f"{mate.image_id[:SHORT_ID]}, which belongs to it ({self._bond_with(mate)})"
                return f"model {version} {SEEING[side]} {which}"
        return self._left_behind()

    def _seen_as(self, image: ImageId) -> Iterator[tuple[ModelVersion, Side]]:
        for ancestor in self._ancestors:
            place = place_in(ancestor.dataset, image)
            side = None if place is None else ancestor.dataset.column("side")[place]
            if side in SEEING:
                yield ancestor.version, side

    def _left_behind(self) -> str | None:
        """An image that has left the library, but whose group or visit is still known."""
        mates = [self._packed, *(self._snapshot[mate] for mate in self.mates)]
        groups = {name for mate in mates for name in (mate.group, mate.near_duplicate_of)} - {None}
        for ancestor in self._ancestors:
            columns = (ancestor.dataset.column(name) for name in ("image_id", "group", "unit", "side"))
            for image, group, unit, side in zip(*columns, strict=True):
                known = image in groups or group in groups or unit == self.unit
                if side in SEEING and known:
                    gone = "which belonged to it and is not in the snapshot"
                    return f"model {ancestor.version} {SEEING[side]} {image[:SHORT_ID]}, {gone}"
        return None

    def _no_place(self, counts: Counter[Rule]) -> str:
        taken = counts[Rule.TRAIN] + counts[Rule.VALIDATION]
        if taken >= self._rules.maximum_per_class:
            return f"{self.class_name!r} learns from {taken} images already, its maximum"
        if not taken:
            return f"{self.class_name!r} is not trained"
        return (
            f"{self._unit_words} is not drawn to train, or is more than what {self.class_name!r} has room for"
        )
