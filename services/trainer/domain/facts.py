"""What is known of one image of a data set, in the words that the sentences of ``rules`` have places for."""

from __future__ import annotations

from collections import Counter
from functools import cached_property

from contracts.manifests import SnapshotRow
from contracts.values import ImageId, LabelKind, Side
from services.trainer.domain.known import Known, Sighting
from services.trainer.domain.rules import SIDES, Rule
from services.trainer.domain.summary import needed, usable
from services.trainer.domain.units import GROUP

SHORT_ID = 12
"""Digits of an image id in a sentence; commands take them."""


class Facts:
    """Of the row at ``place``."""

    def __init__(self, known: Known, place: int) -> None:
        self._known, self._rules = known, known.rules
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
    def _learned(self) -> list[Sighting]:
        """Of it and of what belongs or belonged together with it: to train on decides more than to choose."""
        found = self._known.learned_of(self.unit)
        return [one for one in found if one.side is found[0].side]

    @property
    def trained_before(self) -> bool:
        """Whether an ancestor trained on it, or on what belongs together with it."""
        return any(one.side is Side.TRAIN for one in self._learned)

    @property
    def seen(self) -> str | None:
        """Which ancestor learned from the image, or from one that belongs together with it."""
        own = [one.of("it") for one in self._learned if one.image == self.row.image_id]
        if own or not self._learned:
            return " and ".join(own[-2:]) or None
        return self._learned[0].of(self._mate_words(self._learned[0].image))

    def _mate_words(self, image: ImageId) -> str:
        mate = next((mate for mate in self.mates if self._snapshot.column("image_id")[mate] == image), None)
        if mate is None:
            return f"{image[:SHORT_ID]}, which belonged to it and is not in the snapshot"
        return f"{image[:SHORT_ID]}, which belongs to it ({self._bond_with(self._snapshot[mate])})"

    def _no_place(self, counts: Counter[Rule]) -> str:
        taken = counts[Rule.TRAIN] + counts[Rule.VALIDATION]
        if taken >= self._rules.maximum_per_class:
            return f"{self.class_name!r} learns from {taken} images already, its maximum"
        if not taken:
            return f"{self.class_name!r} is not trained"
        return (
            f"{self._unit_words} is not drawn to train, or is more than what {self.class_name!r} has room for"
        )
