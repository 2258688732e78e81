"""What holds for every library, every set of rules and every history of runs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from contracts.manifests import DatasetRow, SnapshotRow
from contracts.training import DatasetRules
from contracts.values import LabelKind, Side, Source
from services.trainer.domain.classes import trained_as
from services.trainer.domain.dataset import build_dataset
from services.trainer.domain.seen import Seen
from tests.support.snapshots import image_name, libraries_of_rows

TESTED = {Side.VALIDATION, Side.TEST, Side.BENCHMARK}

rule_sets = st.builds(
    DatasetRules,
    minimum_per_class=st.integers(1, 6),
    maximum_per_class=st.integers(1, 12),
    staged_cap=st.integers(0, 10),
    train_share=st.sampled_from([0.5, 0.8, 0.9]),
    validation_share=st.sampled_from([0.0, 0.1]),
)
ancestors = st.sets(st.integers(0, 39).map(image_name))


def build(
    rows: list[SnapshotRow],
    rules: DatasetRules,
    trained: Iterable[str] = (),
    validated: Iterable[str] = (),
) -> Sequence[DatasetRow]:
    return build_dataset(rows, rules, Seen(dict.fromkeys(trained, ()), dict.fromkeys(validated, ())))


def sides(dataset: Sequence[DatasetRow]) -> dict[str, Side]:
    return {row.image_id: row.side for row in dataset}


@given(libraries_of_rows(), rule_sets, ancestors, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_nothing(
    rows: list[SnapshotRow], rules: DatasetRules, trained: set[str], random: object
) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert build(shuffled, rules, trained) == build(rows, rules, trained)


@given(libraries_of_rows(), rule_sets, ancestors)
def test_every_image_of_the_snapshot_appears_exactly_once_sorted(
    rows: list[SnapshotRow], rules: DatasetRules, trained: set[str]
) -> None:
    dataset = build(rows, rules, trained)
    assert [row.image_id for row in dataset] == sorted(row.image_id for row in rows)


@given(libraries_of_rows(), rule_sets, ancestors, ancestors)
def test_no_unit_is_learned_from_and_tested_on(
    rows: list[SnapshotRow], rules: DatasetRules, trained: set[str], validated: set[str]
) -> None:
    of_unit: dict[str, set[Side]] = defaultdict(set)
    for row in build(rows, rules, trained, validated):
        of_unit[str(row.unit)].add(row.side)
    for found in of_unit.values():
        assert len(found - {Side.OUT}) <= 1


@given(libraries_of_rows(), rule_sets, ancestors, ancestors)
def test_no_cluster_of_duplicates_spans_two_sides(
    rows: list[SnapshotRow], rules: DatasetRules, trained: set[str], validated: set[str]
) -> None:
    """Whatever verdicts dedup mixes: a cluster is what groups and originals connect, found here by walking."""
    dataset = sides(build(rows, rules, trained, validated))
    beside: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        for original in {row.group, row.near_duplicate_of} - {None}:
            beside[row.image_id].add(str(original))
            beside[str(original)].add(row.image_id)
    left = set(beside)
    while left:
        cluster, edge = set[str](), {left.pop()}
        while edge:
            cluster |= edge
            edge = {other for name in edge for other in beside[name]} - cluster
        left -= cluster
        assert len({dataset[name] for name in cluster if name in dataset} - {Side.OUT}) <= 1


@given(libraries_of_rows(), rule_sets, ancestors)
def test_the_caps_hold(rows: list[SnapshotRow], rules: DatasetRules, trained: set[str]) -> None:
    dataset = build(rows, rules, trained)
    used = [row for row in dataset if row.side in {Side.TRAIN, Side.VALIDATION, Side.TEST}]
    learned = Counter(row.class_name for row in used if row.side is not Side.TEST)
    made = Counter(row.class_name for row in used if row.source is not Source.REAL)
    real = Counter(row.class_name for row in used if row.source is Source.REAL)
    assert all(count <= rules.maximum_per_class for count in learned.values())
    for name, count in made.items():
        assert count <= max(0, rules.staged_cap - real[name])


@given(libraries_of_rows(), rule_sets, ancestors)
def test_classes_are_numbered_without_gaps_and_each_is_trained_on(
    rows: list[SnapshotRow], rules: DatasetRules, trained: set[str]
) -> None:
    dataset = build(rows, rules, trained)
    classes = {row.image_id: trained_as(row) for row in rows}
    taught = sorted({str(classes[row.image_id]) for row in dataset if row.side is Side.TRAIN})
    for row in dataset:
        assert row.class_name is None or taught[row.class_index] == row.class_name
        if row.side in {Side.TRAIN, Side.VALIDATION, Side.TEST}:
            assert row.class_name == classes[row.image_id] is not None


@given(libraries_of_rows(), rule_sets, ancestors)
def test_what_is_removed_or_no_class_is_never_learned_from(
    rows: list[SnapshotRow], rules: DatasetRules, trained: set[str]
) -> None:
    dataset = sides(build(rows, rules, trained))
    for row in rows:
        if row.label_kind is LabelKind.REJECTED:
            assert dataset[row.image_id] is Side.OUT
        elif row.label_kind is not LabelKind.CLASS:
            assert dataset[row.image_id] in {Side.OUT, Side.BENCHMARK}


@given(libraries_of_rows(), rule_sets, ancestors)
def test_one_visit_is_on_one_side(rows: list[SnapshotRow], rules: DatasetRules, trained: set[str]) -> None:
    dataset = sides(build(rows, rules, trained))
    of_visit: dict[tuple[str | None, str], set[Side]] = defaultdict(set)
    for row in rows:
        if row.visit:
            of_visit[row.guest, row.visit].add(dataset[row.image_id])
    assert all(len(found - {Side.OUT}) <= 1 for found in of_visit.values())


@given(st.lists(st.tuples(libraries_of_rows(), rule_sets), min_size=1, max_size=5))
def test_over_any_history_no_model_is_tested_on_what_it_or_an_ancestor_learned_from(
    history: list[tuple[list[SnapshotRow], DatasetRules]],
) -> None:
    """Labels, classes, groups, guests, visits, benchmarks, caps and shares change between the runs at will."""
    trained: set[str] = set()
    validated: set[str] = set()
    for rows, rules in history:
        dataset = sides(build(rows, rules, trained, validated))
        assert not trained & {image for image, side in dataset.items() if side in TESTED}
        assert not validated & {i for i, side in dataset.items() if side in {Side.TEST, Side.BENCHMARK}}
        trained |= {image for image, side in dataset.items() if side is Side.TRAIN}
        validated |= {image for image, side in dataset.items() if side is Side.VALIDATION}


@given(libraries_of_rows(), st.integers(1, 12))
def test_the_side_of_an_image_that_is_not_overflow_is_the_same_in_every_run(
    rows: list[SnapshotRow], maximum: int
) -> None:
    """Caps decide who overflows, never who trains and who validates."""
    roomy = DatasetRules(minimum_per_class=1, maximum_per_class=1000, staged_cap=1000)
    tight = roomy.model_copy(update={"maximum_per_class": maximum})
    before, after = sides(build(rows, roomy)), sides(build(rows, tight))
    for image, side in after.items():
        if side in {Side.TRAIN, Side.VALIDATION}:
            assert before[image] in {side, Side.OUT}
