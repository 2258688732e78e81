"""Which image of a snapshot goes where, and by which rule (domain.md section 2)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from enum import StrEnum

from contracts.commands import DatasetRules
from contracts.manifests import DatasetRow, SnapshotRow
from contracts.values import ImageId, LabelKind, Side, Source
from services.trainer.domain.classes import trained_as
from services.trainer.domain.errors import TrainingError
from services.trainer.domain.units import place_of, unit_of, units_with


class Rule(StrEnum):
    """What decided an image's side."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST_SHARE = "test-share"
    OVERFLOW = "overflow"
    BENCHMARK = "benchmark"
    UNLABELLED = "unlabelled"
    UNKNOWN_LABEL = "unknown-label"
    OUT_OF_SCOPE = "out-of-scope"
    REMOVED = "removed"
    NEAR_DUPLICATE = "near-duplicate"
    BESIDE_BENCHMARK = "beside-benchmark"
    BENCHMARK_SEEN = "benchmark-seen-by-ancestor"
    STAGED_CAP = "staged-cap"
    BELOW_MINIMUM = "below-minimum"
    SEEN = "seen-by-ancestor"
    NOTHING_TO_TRAIN = "nothing-to-train"


SIDES: dict[Rule, Side] = defaultdict(
    lambda: Side.OUT,
    {
        Rule.TRAIN: Side.TRAIN, Rule.VALIDATION: Side.VALIDATION, Rule.TEST_SHARE: Side.TEST,
        Rule.OVERFLOW: Side.TEST, Rule.BENCHMARK: Side.BENCHMARK,
    },
)  # fmt: skip
"""Every other rule leaves the image out."""

UNTRAINED = {LabelKind.OUT_OF_SCOPE: Rule.OUT_OF_SCOPE, LabelKind.UNKNOWN: Rule.UNKNOWN_LABEL}

SOURCE_ORDER = {Source.REAL: 0, Source.STAGED: 1, Source.SYNTHETIC: 2}


def build_dataset(
    rows: Sequence[SnapshotRow],
    rules: DatasetRules,
    trained_before: AbstractSet[ImageId],
    validated_before: AbstractSet[ImageId] = frozenset(),
) -> list[DatasetRow]:
    """Every image of the snapshot once, sorted by ``image_id``, with its side and the rule.

    Args:
        trained_before: images an ancestor of the model trained on; they, and what shares a unit
            with them, are trained on or left out, never tested on.
        validated_before: images an ancestor chose its weights by; never tested on either.

    Raises:
        TrainingError: the shares add up to more than 1.
    """
    if rules.train_share + rules.validation_share > 1 + 1e-9:
        raise TrainingError(
            f"train share {rules.train_share} and validation share {rules.validation_share} exceed 1",
            "lower one of rules.train_share and rules.validation_share",
        )
    split = _Split(sorted(rows, key=lambda row: row.image_id), rules, trained_before, validated_before)
    split.set_apart()
    split.cap_staged()
    split.leave_small_classes()
    split.divide()
    split.leave_untrained_classes()
    return split.rows_out()


class _Split:
    """Working state of one build: the rule of each image decided so far."""

    def __init__(
        self,
        rows: list[SnapshotRow],
        rules: DatasetRules,
        trained: AbstractSet[ImageId],
        validated: AbstractSet[ImageId],
    ) -> None:
        self.rows, self.rules, self.trained = rows, rules, trained
        self.units = unit_of(rows)
        self.trained_units = units_with(self.units, set(trained))
        self.seen_units = self.trained_units | units_with(self.units, set(validated))
        self.places = {unit: place_of(unit) for unit in set(self.units.values())}
        self.rule: dict[ImageId, Rule] = {}

    def undecided(self) -> list[SnapshotRow]:
        return [row for row in self.rows if row.image_id not in self.rule]

    def by_class(self) -> dict[str, list[SnapshotRow]]:
        classes: dict[str, list[SnapshotRow]] = defaultdict(list)
        for row in self.undecided():
            classes[trained_as(row) or ""].append(row)
        return classes

    def turn(self, row: SnapshotRow) -> tuple[bool, float, str]:
        """Order within a class: what an ancestor knows first, then the unit's own number."""
        unit = self.units[row.image_id]
        return (unit not in self.trained_units, self.places[unit].turn, row.image_id)

    def set_apart(self) -> None:
        """Benchmarks, and what no model may learn from."""
        benchmarked = {
            self.units[row.image_id]
            for row in self.rows
            if row.benchmark and row.label_kind is not LabelKind.REJECTED
        }
        for row in self.rows:
            rule = self._apart(row, self.units[row.image_id], benchmarked)
            if rule is not None:
                self.rule[row.image_id] = rule

    def _apart(self, row: SnapshotRow, unit: str, benchmarked: set[str]) -> Rule | None:
        if row.label_kind is LabelKind.REJECTED:
            return Rule.REMOVED
        if row.benchmark:
            return Rule.BENCHMARK_SEEN if unit in self.seen_units else Rule.BENCHMARK
        if row.label is None:
            return Rule.UNLABELLED
        if row.label_kind is not LabelKind.CLASS:
            return UNTRAINED[row.label_kind or LabelKind.UNKNOWN]
        if row.near_duplicate_of is not None:
            return Rule.NEAR_DUPLICATE
        return Rule.BESIDE_BENCHMARK if unit in benchmarked else None

    def cap_staged(self) -> None:
        """Real is king: staged and then synthetic images only fill a class up to the cap."""
        for images in self.by_class().values():
            made = [row for row in images if row.source is not Source.REAL]
            room = max(0, self.rules.staged_cap - (len(images) - len(made)))
            made.sort(key=lambda row: (SOURCE_ORDER[row.source], *self.turn(row)))
            for row in made[room:]:
                self.rule[row.image_id] = Rule.STAGED_CAP

    def leave_small_classes(self) -> None:
        for images in self.by_class().values():
            if len(images) < self.rules.minimum_per_class:
                self.rule.update({row.image_id: Rule.BELOW_MINIMUM for row in images})

    def divide(self) -> None:
        """Whole units, real ones first, to their side while their classes have room."""
        members: dict[str, list[SnapshotRow]] = defaultdict(list)
        for row in self.undecided():
            members[self.units[row.image_id]].append(row)
        room: dict[str, int] = defaultdict(lambda: self.rules.maximum_per_class)

        def order(unit: str) -> tuple[int, bool, float, str]:
            source = max(SOURCE_ORDER[row.source] for row in members[unit])
            return (source, unit not in self.trained_units, self.places[unit].turn, unit)

        for unit in sorted(members, key=order):
            self._place(unit, members[unit], room)

    def _place(self, unit: str, images: list[SnapshotRow], room: dict[str, int]) -> None:
        need = Counter(str(trained_as(row)) for row in images)
        fits = all(room[name] >= count for name, count in need.items())
        if unit in self.trained_units:
            self._train_again(images, room)
        elif not fits or (rule := self._by_share(unit)) is Rule.TEST_SHARE:
            spare = Rule.OVERFLOW if not fits else Rule.TEST_SHARE
            spare = Rule.SEEN if unit in self.seen_units else spare
            self.rule.update({row.image_id: spare for row in images})
        else:
            for row in images:
                self.rule[row.image_id] = rule
                room[str(trained_as(row))] -= 1

    def _train_again(self, images: list[SnapshotRow], room: dict[str, int]) -> None:
        """Ancestors' images and their unit's newcomers: trained on while there is room, else out."""
        for row in sorted(images, key=lambda row: (row.image_id not in self.trained, row.image_id)):
            name = str(trained_as(row))
            has_room = room[name] > 0
            self.rule[row.image_id] = Rule.TRAIN if has_room else Rule.SEEN
            room[name] -= has_room

    def _by_share(self, unit: str) -> Rule:
        side = self.places[unit].side
        if side < self.rules.validation_share:
            return Rule.VALIDATION
        # Rounding must not leave a crack for a unit to fall through when the shares make up 1.
        if side < self.rules.validation_share + self.rules.train_share + 1e-9:
            return Rule.TRAIN
        return Rule.TEST_SHARE

    def leave_untrained_classes(self) -> None:
        """A class whose units all landed elsewhere cannot be learned."""
        taught = self.taught()
        for row in self.rows:
            divided = self.rule[row.image_id] in (Rule.VALIDATION, Rule.TEST_SHARE, Rule.OVERFLOW)
            if divided and trained_as(row) not in taught:
                self.rule[row.image_id] = Rule.NOTHING_TO_TRAIN

    def taught(self) -> set[str]:
        return {str(trained_as(row)) for row in self.rows if self.rule[row.image_id] is Rule.TRAIN}

    def rows_out(self) -> list[DatasetRow]:
        index = {name: number for number, name in enumerate(sorted(self.taught()))}
        return [_dataset_row(row, self.rule[row.image_id], index) for row in self.rows]


def _dataset_row(row: SnapshotRow, rule: Rule, index: dict[str, int]) -> DatasetRow:
    name = trained_as(row)
    class_name = name if name in index else None
    return DatasetRow(
        image_id=row.image_id, label=row.label, class_name=class_name,
        class_index=-1 if class_name is None else index[class_name],
        side=SIDES[rule], rule=rule.value, group=row.group, source=row.source, benchmark=row.benchmark,
        shard=row.shard, offset=row.offset, size=row.size, sha256=row.sha256,
    )  # fmt: skip
