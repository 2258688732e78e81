"""Which image of a snapshot goes where, and by which rule (domain.md section 2)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from contracts.manifests import DatasetRow, SnapshotRow
from contracts.training import DatasetRules
from contracts.values import LabelKind, Side, Source
from services.trainer.domain.classes import classes_trained_as
from services.trainer.domain.errors import TrainingError
from services.trainer.domain.rules import SIDES, Rule
from services.trainer.domain.seen import Seen
from services.trainer.domain.table import Table
from services.trainer.domain.units import Place, place_of, units_of

UNTRAINED = {LabelKind.OUT_OF_SCOPE: Rule.OUT_OF_SCOPE, LabelKind.UNKNOWN: Rule.UNKNOWN_LABEL}
SOURCE_ORDER = {Source.REAL: 0, Source.STAGED: 1, Source.SYNTHETIC: 2}
DIVIDED = frozenset({Rule.TRAIN, Rule.VALIDATION, Rule.TEST_SHARE, Rule.OVERFLOW})
"""Rules of images that a class uses: they count towards its minimum."""
NOTHING_SEEN = Seen()


def build_dataset(
    rows: Sequence[SnapshotRow], rules: DatasetRules, seen: Seen = NOTHING_SEEN
) -> Table[DatasetRow]:
    """Every image of the snapshot once, sorted by ``image_id``, with its side and the rule.

    What an ancestor trained on, and what shares a unit with it, is trained on or left out; what one
    chose its weights by is trained on, validated with or left out: neither is ever tested on.

    Raises:
        TrainingError: the shares add up to more than 1, or an image is in the snapshot twice.
    """
    if rules.train_share + rules.validation_share > 1 + 1e-9:
        raise TrainingError(
            f"train share {rules.train_share} and validation share {rules.validation_share} exceed 1",
            "lower one of rules.train_share and rules.validation_share",
        )
    snapshot = Table.of(SnapshotRow, rows).sorted_by("image_id")
    _check_once(snapshot.column("image_id"))
    split = _Split(snapshot, rules, seen)
    split.set_apart()
    split.cap_staged()
    split.divide_classes()
    return split.dataset()


def _check_once(image_ids: Sequence[str]) -> None:
    """An image in two rows could be learned from by the one and tested on by the other."""
    for image, following in pairwise(image_ids):
        if image == following:
            raise TrainingError(f"image {image} is in the snapshot twice", "pack a new snapshot")


class _Split:
    """Working state of one build: the rule of each row decided so far."""

    def __init__(self, snapshot: Table[SnapshotRow], rules: DatasetRules, seen: Seen) -> None:
        self.snapshot, self.rules = snapshot, rules
        self.units = units_of(snapshot)
        self.unit = self.units.of_row
        self.trained_units = self.units.with_any_of(seen.trained)
        self.seen_units = self.trained_units | self.units.with_any_of(seen.validated)
        self.image_ids: Sequence[str] = snapshot.column("image_id")
        self.trained = [image in seen.trained for image in self.image_ids]
        self.classes = classes_trained_as(snapshot)
        self.source = [SOURCE_ORDER[source] for source in snapshot.column("source")]
        self.places: dict[int, Place] = {}
        self.rule: dict[int, Rule] = {}

    def place(self, unit: int) -> Place:
        found = self.places.get(unit)
        if found is None:
            found = self.places[unit] = place_of(self.units.names[unit])
        return found

    def by_class(self, rows: Iterable[int]) -> dict[str, list[int]]:
        classes: dict[str, list[int]] = defaultdict(list)
        for row in rows:
            classes[str(self.classes[row])].append(row)
        return classes

    def undecided(self) -> list[int]:
        return [row for row in range(len(self.snapshot)) if row not in self.rule]

    def set_apart(self) -> None:
        """Benchmarks, and what no model may learn from."""
        kinds, labels, benchmarks, originals = (
            self.snapshot.column(name) for name in ("label_kind", "label", "benchmark", "near_duplicate_of")
        )
        benchmarked = {
            unit
            for unit, benchmark, kind in zip(self.unit, benchmarks, kinds, strict=True)
            if benchmark and kind is not LabelKind.REJECTED
        }
        columns = zip(self.unit, kinds, labels, benchmarks, originals, strict=True)
        for row, (unit, kind, label, benchmark, original) in enumerate(columns):
            if kind is LabelKind.REJECTED:
                self.rule[row] = Rule.REMOVED
            elif benchmark:
                self.rule[row] = Rule.BENCHMARK_SEEN if unit in self.seen_units else Rule.BENCHMARK
            elif label is None:
                self.rule[row] = Rule.UNLABELLED
            elif kind is not LabelKind.CLASS:
                self.rule[row] = UNTRAINED[kind or LabelKind.UNKNOWN]
            elif original is not None:
                self.rule[row] = Rule.NEAR_DUPLICATE
            elif unit in benchmarked:
                self.rule[row] = Rule.BESIDE_BENCHMARK

    def turn(self, row: int) -> tuple[int, bool, float, int]:
        """Order within a class: real ones, what an ancestor knows, then the unit's own number."""
        unit = self.unit[row]
        return (self.source[row], unit not in self.trained_units, self.place(unit).turn, row)

    def cap_staged(self) -> None:
        """Real is king: staged and then synthetic images only fill a class up to the cap."""
        for images in self.by_class(self.undecided()).values():
            made = [row for row in images if self.source[row]]
            room = max(0, self.rules.staged_cap - (len(images) - len(made)))
            if len(made) > room:
                made.sort(key=self.turn)
                self.rule.update(dict.fromkeys(made[room:], Rule.STAGED_CAP))

    def divide_classes(self) -> None:
        """Sides for the classes that keep their minimum and have something to train on.

        Whether they do is known only after dividing: an image that an ancestor saw may find no place. A
        class that is left out gives room to units that it shares with others, so all is divided again.
        """
        classes = self.by_class(self.undecided())
        while True:
            divided = self._divide([row for images in classes.values() for row in images])
            left = {name: self._left_out(images, divided) for name, images in classes.items()}
            failed = {name: rule for name, rule in left.items() if rule is not None}
            if not failed:
                self.rule.update(divided)
                return
            for name, rule in failed.items():
                for row in classes.pop(name):
                    self.rule[row] = Rule.SEEN if divided[row] is Rule.SEEN else rule

    def _left_out(self, images: list[int], divided: Mapping[int, Rule]) -> Rule | None:
        """Why a class cannot be learned; None when it can."""
        rules = [divided[row] for row in images]
        if sum(rule in DIVIDED for rule in rules) < self.rules.minimum_per_class:
            return Rule.BELOW_MINIMUM
        return None if Rule.TRAIN in rules else Rule.NOTHING_TO_TRAIN

    def _divide(self, rows: Iterable[int]) -> dict[int, Rule]:
        """Whole units, real ones first, to their side while their classes have room."""
        members: dict[int, list[int]] = defaultdict(list)
        for row in rows:
            members[self.unit[row]].append(row)
        room: dict[str | None, int] = defaultdict(lambda: self.rules.maximum_per_class)
        divided: dict[int, Rule] = {}
        for unit in sorted(members, key=lambda unit: self._precedence(unit, members[unit])):
            images = members[unit]
            if unit in self.trained_units:
                self._train_again(images, room, divided)
            else:
                divided.update(dict.fromkeys(images, self._draw(unit, images, room)))
        return divided

    def _precedence(self, unit: int, images: list[int]) -> tuple[int, bool, float, str]:
        source = max(map(self.source.__getitem__, images))
        return (source, unit not in self.trained_units, self.place(unit).turn, self.units.names[unit])

    def _draw(self, unit: int, images: list[int], room: dict[str | None, int]) -> Rule:
        """One rule for a unit that no ancestor trained on; takes its room."""
        names = [self.classes[row] for row in images]
        fits = all(room[name] >= names.count(name) for name in set(names))
        rule = self._by_share(unit) if fits else Rule.OVERFLOW
        if SIDES[rule] is Side.TEST:
            return Rule.SEEN if unit in self.seen_units else rule
        for name in names:
            room[name] -= 1
        return rule

    def _train_again(self, images: list[int], room: dict[str | None, int], divided: dict[int, Rule]) -> None:
        """Ancestors' images and their unit's newcomers: trained on while there is room, else out."""
        for row in sorted(images, key=lambda row: (not self.trained[row], row)):
            name = self.classes[row]
            has_room = room[name] > 0
            divided[row] = Rule.TRAIN if has_room else Rule.SEEN
            room[name] -= has_room

    def _by_share(self, unit: int) -> Rule:
        side = self.place(unit).side
        if side < self.rules.validation_share:
            return Rule.VALIDATION
        # Rounding must not leave a crack for a unit to fall through when the shares make up 1.
        if side < self.rules.validation_share + self.rules.train_share + 1e-9:
            return Rule.TRAIN
        return Rule.TEST_SHARE

    def taught(self) -> set[str]:
        return {str(self.classes[row]) for row, rule in self.rule.items() if rule is Rule.TRAIN}

    def dataset(self) -> Table[DatasetRow]:
        index = {name: number for number, name in enumerate(sorted(self.taught()))}
        rules = [self.rule[row] for row in range(len(self.snapshot))]
        return _dataset(self.snapshot, rules, self.classes, index, [self.units.names[u] for u in self.unit])


def _dataset(
    snapshot: Table[SnapshotRow],
    rules: Sequence[Rule],
    classes: Sequence[str | None],
    index: Mapping[str, int],
    units: Sequence[str],
) -> Table[DatasetRow]:
    own: dict[str, Sequence[object]] = {
        "class_name": [name if name in index else None for name in classes],
        "class_index": [-1 if name is None else index.get(name, -1) for name in classes],
        "side": [SIDES[rule] for rule in rules],
        "rule": [rule.value for rule in rules],
        "unit": units,
    }
    shared = {name: snapshot.column(name) for name in DatasetRow.model_fields if name not in own}
    return Table(DatasetRow, shared | own)
