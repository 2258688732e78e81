"""Random lives of a library with a tree of models: whatever happens, every data set is sound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.manifests import DatasetRow, SnapshotRow
from contracts.training import DatasetRules
from contracts.values import LabelKind, Side, Source
from services.trainer.domain.dataset import build_dataset
from services.trainer.domain.seen import seen_by
from services.trainer.domain.summary import summarise
from services.trainer.fitting.manifest import read_dataset, write_dataset
from tests.support.dataset_oracle import Judge, Learned, class_of
from tests.support.snapshots import image_name, snapshot_row

LABELS = ("a", "b", "c", "d")
GUESTS = ("ann", "bob", "eve", "joe")
seeds = st.integers(0, 2**16)
rule_sets = st.builds(
    lambda shares, **numbers: DatasetRules(train_share=shares[0], validation_share=shares[1], **numbers),
    shares=st.sampled_from([(0.5, 0.2), (0.5, 0.2), (0.9, 0.1), (0.6, 0.0), (0.3, 0.5)]),
    minimum_per_class=st.sampled_from([1, 2, 5, 9]),
    maximum_per_class=st.sampled_from([2, 5, 12, 40]),
    staged_cap=st.sampled_from([0, 4, 20]),
)


CHANGES = (
    "arrive", "arrive", "relabel", "remove", "set_benchmark", "join_groups", "split_group", "merge_classes",
    "leave_and_return", "leave_and_return",
)  # fmt: skip


@dataclass(frozen=True)
class Step:
    """What happens to the library, by name and seed; then a model is trained."""

    changes: list[tuple[str, int]]
    rules: DatasetRules
    base: int
    """Counted back from the newest model; 0 is from scratch."""
    back: int
    """Snapshots back from the newest."""
    seed: int


steps = st.builds(
    Step,
    changes=st.lists(st.tuples(st.sampled_from(CHANGES), seeds), max_size=6),
    rules=rule_sets,
    base=st.sampled_from([1, 1, 1, 2, 3, 0]),
    back=st.sampled_from([0, 0, 0, 0, 1, 2]),
    seed=seeds,
)


@dataclass(frozen=True)
class Image:
    number: int
    label: str | None
    kind: LabelKind | None
    source: Source
    guest: str | None
    visit: str | None
    group: str
    original: str | None = None
    benchmark: str | None = None


@dataclass(frozen=True)
class Model:
    dataset: bytes
    ancestors: tuple[bytes, ...]
    learned: Learned


class Life:
    """A library and the models made of it."""

    def __init__(self) -> None:
        self.images: dict[int, Image] = {}
        self.away: set[int] = set()
        self.merged = {label: label for label in LABELS}
        self.models: list[Model] = []
        self.snapshots: list[list[SnapshotRow]] = []
        self.drawn: dict[tuple[str, float, float], str] = {}
        self.arrive(Random(0), 25)

    def arrive(self, random: Random, count: int = 8) -> None:
        """Some are of a group that is there already, or of a guest's visit."""
        for number in range(len(self.images), len(self.images) + count):
            older = self.images.get(random.randrange(3 * max(number, 1)))
            guest = random.choice([None, None, None, *GUESTS])
            self.images[number] = Image(
                number, random.choice([*LABELS, *LABELS, None]), LabelKind.CLASS,
                random.choice([Source.REAL] * 4 + [Source.STAGED, Source.SYNTHETIC]),
                guest, random.choice([None, "morning", "evening"]) if guest else None,
                image_name(number) if older is None else older.group,
            )  # fmt: skip

    def _change(self, random: Random, count: int, **changes: object) -> None:
        for number in random.sample(sorted(self.images), count):
            self.images[number] = replace(self.images[number], **changes)  # type: ignore[arg-type]

    def relabel(self, random: Random) -> None:
        self._change(random, 3, label=random.choice([*LABELS, None]), kind=LabelKind.CLASS)

    def remove(self, random: Random) -> None:
        self._change(random, 2, label="odd", kind=random.choice(list(LabelKind)))

    def set_benchmark(self, random: Random) -> None:
        self._change(random, 2, benchmark=random.choice(["difficult", None]))

    def join_groups(self, random: Random) -> None:
        """Dedup finds two groups alike; while it revises them, a duplicate may be ahead of its group."""
        one, other = (self.images[n] for n in random.sample(sorted(self.images), 2))
        found = random.choice(["group", "duplicate", "both"])
        for number, image in self.images.items():
            if found != "duplicate" and image.group == other.group:
                self.images[number] = replace(image, group=one.group)
        if found != "group":
            self.images[other.number] = replace(self.images[other.number], original=image_name(one.number))

    def split_group(self, random: Random) -> None:
        for number in random.sample(sorted(self.images), 4):
            self.images[number] = replace(self.images[number], group=image_name(number), original=None)

    def merge_classes(self, random: Random) -> None:
        self.merged[random.choice(LABELS)] = random.choice([*LABELS, "all"])

    def leave_and_return(self, random: Random) -> None:
        """Images that the next snapshots do not hold, as if packed by another library."""
        self.away = set(random.sample(sorted(self.images), 10))

    def pack(self) -> None:
        present = (image for image in self.images.values() if image.number not in self.away)
        self.snapshots.append([self._row(image) for image in present])

    def _row(self, image: Image) -> SnapshotRow:
        kind = None if image.label is None else image.kind
        is_class = kind is LabelKind.CLASS
        return snapshot_row(
            image.number, image.label, label_kind=kind, source=image.source, guest=image.guest,
            visit=image.visit, group=image.group, near_duplicate_of=image.original,
            benchmark=image.benchmark,
            class_name=self.merged.get(str(image.label), image.label) if is_class else None,
        )  # fmt: skip

    def train(self, step: Step) -> None:
        """From scratch, or from any of the last models, on the newest snapshot or an older one."""
        rows, rules = self.snapshots[-1 - min(step.back, len(self.snapshots) - 1)], step.rules
        parent = self.models[-step.base] if 0 < step.base <= len(self.models) else None
        ancestors = () if parent is None else (parent.dataset, *parent.ancestors)
        seen = seen_by(map(read_dataset, ancestors))
        dataset = build_dataset(rows, rules, seen)
        line = Learned() if parent is None else parent.learned
        Judge(rows, dataset, rules, line).sound()
        self._summed_up(rows, dataset, rules)
        self._drawn_as_ever(dataset, rules)
        data = write_dataset(dataset)
        Random(step.seed).shuffle(again := list(rows))
        assert write_dataset(build_dataset(again, rules, seen)) == data
        assert list(read_dataset(data)) == list(dataset)
        self.models.append(Model(data, ancestors, line.grown(rows, dataset)))

    def _summed_up(self, rows: list[SnapshotRow], dataset: Sequence[DatasetRow], rules: DatasetRules) -> None:
        told = summarise(dataset, rows, rules)
        sides = Counter(row.side for row in dataset)
        assert {side: getattr(told, side.value) for side in Side} == {side: sides[side] for side in Side}
        assert sum(one.images for one in told.by_rule) == told.images == len(rows)
        assert {one.class_name for one in told.classes} == {class_of(row) for row in rows} - {None}
        name_of = {row.image_id: class_of(row) for row in rows}
        for one in told.classes:
            own = [row for row in dataset if name_of[row.image_id] == one.class_name]
            assert one.real + one.staged + one.synthetic == len(own)
            assert one.train + one.validation + one.test + one.benchmark + one.out == len(own)
            assert sum(rule.images for rule in one.left_out) == one.out
            assert one.train == sum(row.side is Side.TRAIN for row in own)
            assert (one.class_index is not None) == (one.train > 0)
            assert one.needed == 0 or one.train == 0

    def _drawn_as_ever(self, dataset: Sequence[DatasetRow], rules: DatasetRules) -> None:
        """Where nothing seen forces it, a unit is drawn to the side it was always drawn to."""
        seen_units = {row.unit for row in dataset if row.rule == "seen-by-ancestor"}
        for row in dataset:
            if row.rule in {"validation", "test-share"} and row.unit not in seen_units:
                drawn = (str(row.unit), rules.train_share, rules.validation_share)
                assert self.drawn.setdefault(drawn, row.rule) == row.rule


@settings(max_examples=40)
@given(st.lists(steps, min_size=3, max_size=7))
def test_every_data_set_of_every_life_of_a_library_is_sound(history: list[Step]) -> None:
    life = Life()
    for step in history:
        for name, seed in step.changes:
            getattr(life, name)(Random(seed))
        life.pack()
        life.train(step)
