"""Judges a data set by the rules of domain.md alone: slow, by walking, and without a line of the trainer's.

It does not know which side a unit is drawn to, only what must hold whichever it is.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from contracts.manifests import DatasetRow, SnapshotRow
from contracts.training import DatasetRules
from contracts.values import LabelKind, Side, Source

FEW = 12
"""One guest's photos of one label are one visit up to so many."""
USED = {Side.TRAIN, Side.VALIDATION, Side.TEST}
LEARNED = {Side.TRAIN, Side.VALIDATION}
Room = tuple[str, ...]
"""What makes images one: a group, a named visit, a guest's few photos of a label."""


def class_of(row: SnapshotRow) -> str | None:
    """What the image would be trained as."""
    if row.label_kind is not LabelKind.CLASS:
        return None
    return row.label if row.class_name is None else row.class_name


@dataclass
class Learned:
    """What a line of models learned from, gathered model by model."""

    trained: set[str] = field(default_factory=set)
    validated: set[str] = field(default_factory=set)
    groups: dict[str, str] = field(default_factory=dict)
    """The group that each image was last learned from in."""
    rooms: dict[str, set[Room]] = field(default_factory=dict)
    """All groups and visits that were one with the image then."""

    def grown(self, rows: Sequence[SnapshotRow], dataset: Sequence[DatasetRow]) -> Learned:
        """With one more model in the line."""
        child = Learned(set(self.trained), set(self.validated), dict(self.groups), dict(self.rooms))
        rooms_of = {
            image: {room for other in cluster for room in rooms[other]}
            for rooms in [rooms_by_image(rows)]
            for cluster in clusters(rows)
            for image in cluster
        }
        for row in dataset:
            if row.side in LEARNED:
                child.groups[row.image_id] = row.group
                child.rooms[row.image_id] = child.rooms.get(row.image_id, set()) | rooms_of[row.image_id]
            if row.side is Side.TRAIN:
                child.trained.add(row.image_id)
            if row.side is Side.VALIDATION:
                child.validated.add(row.image_id)
        return child


class Judge:
    """``sound`` raises AssertionError with the first thing that is wrong."""

    def __init__(
        self,
        rows: Sequence[SnapshotRow],
        dataset: Sequence[DatasetRow],
        rules: DatasetRules,
        line: Learned,
    ) -> None:
        self.rows = {row.image_id: row for row in rows}
        self.placed = {row.image_id: row for row in dataset}
        self.side = {row.image_id: row.side for row in dataset}
        self.rules, self.line = rules, line
        self.rooms = rooms_by_image(rows)
        self.clusters = clusters(rows)
        self.of_class: dict[str | None, list[DatasetRow]] = defaultdict(list)
        for image, row in self.placed.items():
            self.of_class[class_of(self.rows[image])].append(row)
        self.cluster_of = {image: cluster for cluster in self.clusters for image in cluster}

    def sound(self) -> None:
        """Everything that must hold of one data set of one line of models."""
        assert sorted(self.rows) == list(self.placed), "every image once, sorted"
        self.nothing_tested_was_learned()
        self.clusters_stay_together()
        self.classes_keep_their_bounds()
        self.classes_are_numbered()
        for image in self.rows:
            self.reason_holds(image)

    def nothing_tested_was_learned(self) -> None:
        for image, side in self.side.items():
            if image in self.line.trained:
                assert side in {Side.TRAIN, Side.OUT}, f"{image} was trained on, and is {side}"
            if image in self.line.validated:
                assert side not in {Side.TEST, Side.BENCHMARK}, f"{image} chose weights, and is {side}"

    def clusters_stay_together(self) -> None:
        named: dict[str, set[str]] = defaultdict(set)
        for cluster in self.clusters:
            sides = {self.side[image] for image in cluster} - {Side.OUT}
            assert len(sides) <= 1, f"{cluster} spans {sides}"
            if self.was_trained(cluster):
                assert sides <= {Side.TRAIN}, f"{cluster} was trained on, and is {sides}"
            elif self.was_validated(cluster):
                assert sides <= LEARNED, f"{cluster} chose weights, and is {sides}"
            units = {str(self.placed[image].unit) for image in cluster}
            assert len(units) == 1, f"{cluster} has the units {units}"
            named[units.pop()].add(min(cluster))
        assert all(len(found) == 1 for found in named.values()), "two clusters share a unit"

    def was_trained(self, cluster: frozenset[str]) -> bool:
        return self._learned(cluster, self.line.trained)

    def was_validated(self, cluster: frozenset[str]) -> bool:
        return self._learned(cluster, self.line.validated)

    def _learned(self, cluster: frozenset[str], images: set[str]) -> bool:
        """One of the cluster was, or one that has left the library and that its rest still names."""
        gone = images - set(self.rows)
        left_behind = {self.line.groups[image] for image in gone} | gone
        named = {
            name for image in cluster for name in (self.rows[image].group, self.rows[image].near_duplicate_of)
        }
        return bool(cluster & images or named & left_behind)

    def may_be_seen(self, cluster: frozenset[str]) -> bool:
        """As the two above, or beside a learned image that is gone, by any group or visit they shared."""
        gone = (self.line.trained | self.line.validated) - set(self.rows)
        left_behind = {room for image in gone for room in self.line.rooms[image]}
        shared = {room for image in cluster for room in self.rooms[image]} & left_behind
        return bool(shared) or self.was_trained(cluster) or self.was_validated(cluster)

    def classes_keep_their_bounds(self) -> None:
        used: Counter[str | None] = Counter()
        learned: Counter[str | None] = Counter()
        made: Counter[str | None] = Counter()
        real: Counter[str | None] = Counter()
        for image, side in self.side.items():
            name = class_of(self.rows[image])
            if side in USED:
                used[name] += 1
                (real if self.rows[image].source is Source.REAL else made)[name] += 1
            learned[name] += side in LEARNED
        assert None not in used
        for name, count in used.items():
            assert count >= self.rules.minimum_per_class, f"{name} has {count}"
            assert learned[name] <= self.rules.maximum_per_class, f"{name} learns from {learned[name]}"
            assert made[name] <= max(0, self.rules.staged_cap - real[name]), f"{name} has {made[name]} made"

    def classes_are_numbered(self) -> None:
        taught = {class_of(self.rows[i]) for i, side in self.side.items() if side is Side.TRAIN}
        order = sorted(str(name) for name in taught)
        for image, row in self.placed.items():
            name = class_of(self.rows[image])
            assert (row.class_name, row.class_index) == (
                (name, order.index(str(name))) if name in taught else (None, -1)
            )

    def reason_holds(self, image: str) -> None:
        """The rule that is told says the truth, and no image is left out without a reason."""
        row, placed = self.rows[image], self.placed[image]
        cluster = self.cluster_of[image]
        seen = self.was_trained(cluster) or self.was_validated(cluster)
        beside_benchmark = any(self.is_benchmark(self.rows[other]) for other in cluster)
        if row.label_kind is LabelKind.REJECTED:
            expected = "removed"
        elif row.benchmark:
            assert placed.rule != "benchmark" or not seen
            assert placed.rule != "benchmark-seen-by-ancestor" or self.may_be_seen(cluster)
            expected = placed.rule
            assert expected in {"benchmark", "benchmark-seen-by-ancestor"}
        elif row.label is None:
            expected = "unlabelled"
        elif row.label_kind is LabelKind.OUT_OF_SCOPE:
            expected = "out-of-scope"
        elif row.label_kind is not LabelKind.CLASS:
            expected = "unknown-label"
        elif row.near_duplicate_of is not None:
            expected = "near-duplicate"
        elif beside_benchmark:
            expected = "beside-benchmark"
        else:
            self.choice_holds(image)
            return
        assert placed.rule == expected
        assert placed.side is (Side.BENCHMARK if expected == "benchmark" else Side.OUT)

    @staticmethod
    def is_benchmark(row: SnapshotRow) -> bool:
        return bool(row.benchmark) and row.label_kind is not LabelKind.REJECTED

    def choice_holds(self, image: str) -> None:
        name = class_of(self.rows[image])
        rows = self.of_class[name]
        rules = Counter(row.rule for row in rows)
        learned = sum(row.side in LEARNED for row in rows)
        cluster = self.cluster_of[image]
        match self.placed[image].rule:
            case "train":
                assert self.side[image] is Side.TRAIN
            case "validation":
                assert self.side[image] is Side.VALIDATION
            case "test-share":
                assert self.side[image] is Side.TEST
                assert self.rules.train_share + self.rules.validation_share < 1
            case "overflow":
                assert self.side[image] is Side.TEST
                assert self.too_big(cluster)
            case "staged-cap":
                assert self.rows[image].source is not Source.REAL
                usable = [row for row in rows if self.is_candidate(self.rows[row.image_id])]
                kept = [row for row in usable if row.rule != "staged-cap"]
                real = sum(row.source is Source.REAL for row in usable)
                assert len(kept) == max(real, self.rules.staged_cap)
            case "below-minimum":
                assert rules["below-minimum"] < self.rules.minimum_per_class
                assert not {row.side for row in rows} & USED
            case "nothing-to-train":
                assert rules["nothing-to-train"] >= self.rules.minimum_per_class
                assert not {row.side for row in rows} & USED
            case "seen-by-ancestor":
                assert self.may_be_seen(cluster)
                # What was trained on is trained on again while there is room.
                untrained = not {row.side for row in rows} & USED
                full = learned == self.rules.maximum_per_class
                assert untrained or not self.was_trained(cluster) or full
            case other:
                raise AssertionError(f"{image} is decided by {other}")
        if self.side[image] is Side.OUT:
            assert self.placed[image].rule in {
                "staged-cap",
                "below-minimum",
                "nothing-to-train",
                "seen-by-ancestor",
            }

    def is_candidate(self, row: SnapshotRow) -> bool:
        """Whether nothing but numbers keeps it out."""
        benchmarked = any(self.is_benchmark(self.rows[other]) for other in self.cluster_of[row.image_id])
        is_class = row.label_kind is LabelKind.CLASS
        return is_class and not row.benchmark and row.near_duplicate_of is None and not benchmarked

    def too_big(self, cluster: frozenset[str]) -> bool:
        """Whether the cluster fits into what some class of it has left."""
        need = Counter(class_of(self.rows[i]) for i in cluster if self.side[i] is Side.TEST)
        taken = {name: sum(row.side in LEARNED for row in self.of_class[name]) for name in need}
        return any(taken[name] + count > self.rules.maximum_per_class for name, count in need.items())


def rooms_by_image(rows: Sequence[SnapshotRow]) -> dict[str, set[Room]]:
    """The rooms of each image."""
    by_image = {row.image_id: row for row in rows}
    few = Counter((row.guest, row.label) for row in rows if row.guest and row.label and not row.visit)
    rooms: dict[str, set[Room]] = defaultdict(set)
    for row in rows:
        for original in {row.group, row.near_duplicate_of} - {None}:
            known = by_image.get(str(original))
            rooms[row.image_id].add(("group", str(original) if known is None else known.group))
        rooms[row.image_id].add(("group", row.group))
        if row.visit:
            rooms[row.image_id].add(("visit", row.guest or "", row.visit))
        elif row.guest and row.label and few[row.guest, row.label] <= FEW:
            rooms[row.image_id].add(("few", row.guest, row.label))
    return rooms


def clusters(rows: Sequence[SnapshotRow]) -> list[frozenset[str]]:
    """Images that belong together, by walking from each to those beside it."""
    rooms_of = rooms_by_image(rows)
    inside: dict[Room, set[str]] = defaultdict(set)
    for image, rooms in rooms_of.items():
        for room in rooms:
            inside[room].add(image)
    left, found = set(rooms_of), []
    while left:
        cluster, edge = set[str](), {left.pop()}
        while edge:
            cluster |= edge
            edge = {other for image in edge for room in rooms_of[image] for other in inside[room]} - cluster
        left -= cluster
        found.append(frozenset(cluster))
    return found
