"""What can happen to an image that an ancestor trained on, one thing at a time: it tests nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection

import pytest

from contracts.manifests import DatasetRow, SnapshotRow
from contracts.training import DatasetRules
from contracts.values import LabelKind, Side, Source
from services.trainer.domain.dataset import build_dataset
from services.trainer.domain.rules import Rule
from services.trainer.domain.seen import seen_by
from services.trainer.domain.table import Table
from tests.support.snapshots import class_rows, image_name, snapshot_row

RULES = DatasetRules(minimum_per_class=10, maximum_per_class=60, train_share=0.5, validation_share=0.2)
Rows = list[SnapshotRow]


def zoo() -> Rows:
    """Both classes have a train, a validation and a test side."""
    return [*class_rows("robin", 100), *class_rows("wren", 100, 1000)]


def on(side: Side, dataset: Collection[DatasetRow]) -> set[str]:
    return {row.image_id for row in dataset if row.side is side}


def changed(rows: Rows, images: Collection[str], **changes: object) -> Rows:
    return [row.model_copy(update=changes) if row.image_id in images else row for row in rows]


def groups_joined(rows: Rows, first: Table[DatasetRow]) -> Rows:
    """Each group has an image that was trained on and one that was tested on."""
    pairs = zip(sorted(on(Side.TRAIN, first)), sorted(on(Side.TEST, first)), strict=False)
    group_of = {image: min(pair) for pair in pairs for image in pair}
    assert len(group_of) > 40
    return [
        row.model_copy(update={"group": group_of[row.image_id]}) if row.image_id in group_of else row
        for row in rows
    ]


def relabelled(rows: Rows, first: Table[DatasetRow]) -> Rows:
    """Into a class that is full already."""
    robins = {row.image_id for row in first if row.side is Side.TRAIN and row.label == "robin"}
    return changed(rows, robins, label="wren")


def merged(rows: Rows, _first: Table[DatasetRow]) -> Rows:
    """Two classes of 60 become one of at most 60."""
    return [row.model_copy(update={"class_name": "bird"}) for row in [*rows, *class_rows("owl", 40, 5000)]]


def grown(rows: Rows, _first: Table[DatasetRow]) -> Rows:
    return [*rows, *class_rows("robin", 300, 5000), *class_rows("wren", 300, 6000)]


def benchmarked(rows: Rows, first: Table[DatasetRow]) -> Rows:
    return changed(rows, on(Side.TRAIN, first) | on(Side.VALIDATION, first), benchmark="difficult")


def removed(rows: Rows, first: Table[DatasetRow]) -> Rows:
    return changed(rows, on(Side.TRAIN, first), label_kind=LabelKind.REJECTED)


def out_of_scope(rows: Rows, first: Table[DatasetRow]) -> Rows:
    """A benchmark of what is no class, of pictures that a class was taught with."""
    changes = {"label_kind": LabelKind.OUT_OF_SCOPE, "label": "popcorn", "benchmark": "out-of-scope"}
    return changed(rows, on(Side.TRAIN, first), **changes)


def staged(rows: Rows, first: Table[DatasetRow]) -> Rows:
    """What was thought real turns out to be staged, and is taken last."""
    return changed(rows, on(Side.TRAIN, first), source=Source.STAGED)


def visiting(rows: Rows, first: Table[DatasetRow]) -> Rows:
    """Upstream names the visits: what was split singly belongs together."""
    days = {image: f"day {n % 20}" for n, image in enumerate(sorted(row.image_id for row in first))}
    return [row.model_copy(update={"guest": "ann", "visit": days[row.image_id]}) for row in rows]


CHANGES: dict[str, Callable[[Rows, Table[DatasetRow]], Rows]] = {
    made.__name__: made
    for made in (
        groups_joined,
        relabelled,
        merged,
        grown,
        benchmarked,
        removed,
        out_of_scope,
        staged,
        visiting,
    )
}
NUMBERS = {
    "as before": RULES,
    "lower caps": RULES.model_copy(update={"maximum_per_class": 20, "staged_cap": 5}),
    "all to test": RULES.model_copy(update={"train_share": 0.01, "validation_share": 0.0}),
    "all to validate": RULES.model_copy(update={"train_share": 0.01, "validation_share": 0.99}),
}


@pytest.mark.parametrize("numbers", NUMBERS)
@pytest.mark.parametrize("change", CHANGES)
def test_what_an_ancestor_trained_on_is_trained_on_or_left_out(change: str, numbers: str) -> None:
    """In its child after the change, and in its grandchild, which finds all as it was at first."""
    first = build_dataset(zoo(), RULES)
    trained, validated = on(Side.TRAIN, first), on(Side.VALIDATION, first)
    assert min(len(trained), len(validated), len(on(Side.TEST, first))) > 20
    rows = CHANGES[change](zoo(), first)
    child = build_dataset(rows, NUMBERS[numbers], seen_by([first]))
    grandchild = build_dataset(zoo(), RULES, seen_by([child, first]))
    for dataset, learned in ((child, trained), (grandchild, trained | on(Side.TRAIN, child))):
        assert {row.side for row in dataset if row.image_id in learned} <= {Side.TRAIN, Side.OUT}
        tested = on(Side.TEST, dataset) | on(Side.BENCHMARK, dataset)
        assert not validated & tested
    units = {row.unit for row in child if row.image_id in trained}
    assert {row.side for row in child if row.unit in units} <= {Side.TRAIN, Side.OUT}


def test_a_cap_that_was_lowered_and_raised_again_brings_no_trained_image_to_the_test() -> None:
    line: list[Table[DatasetRow]] = []
    trained: set[str] = set()
    for maximum in (60, 20, 11, 60, 40):
        rules = RULES.model_copy(update={"maximum_per_class": maximum})
        line.insert(0, build_dataset(zoo(), rules, seen_by(line)))
        assert not trained & (on(Side.TEST, line[0]) | on(Side.VALIDATION, line[0]))
        trained |= on(Side.TRAIN, line[0])
    left = [row.rule for row in line[0] if row.image_id in trained and row.side is Side.OUT]
    assert set(left) == {Rule.SEEN}


def test_what_a_throw_away_run_trained_on_counts_for_the_models_that_grow_from_it() -> None:
    """A class below the minimum of other runs was trained on: later, with more images, it tests nothing."""
    few = [*zoo(), *class_rows("owl", 35, 5000)]
    throw_away = build_dataset(few, DatasetRules(minimum_per_class=35))
    owls = {row.image_id for row in throw_away if row.side is Side.TRAIN and row.label == "owl"}
    assert owls
    between = build_dataset(few, DatasetRules(), seen_by([throw_away]))
    assert {row.rule for row in between if row.label == "owl"} == {Rule.BELOW_MINIMUM}
    many = [*few, *class_rows("owl", 200, 6000)]
    rules = DatasetRules(train_share=0.1, validation_share=0.1)
    grown_from = build_dataset(many, rules, seen_by([between, throw_away]))
    assert {row.side for row in grown_from if row.image_id in owls} == {Side.TRAIN}
    from_scratch = build_dataset(many, rules)
    assert Side.TEST in {row.side for row in from_scratch if row.image_id in owls}


def test_of_a_group_that_has_not_room_for_all_what_was_trained_on_goes_first() -> None:
    group = "ab" * 32
    rows = class_rows("robin", 20, group=group)
    everything = DatasetRules(minimum_per_class=1, validation_share=0.0, train_share=1.0)
    first = build_dataset(rows[10:], everything)
    tight = everything.model_copy(update={"maximum_per_class": 10})
    child = build_dataset(rows, tight, seen_by([first]))
    assert on(Side.TRAIN, child) == on(Side.TRAIN, first)
    assert {row.rule for row in child if row.side is Side.OUT} == {Rule.SEEN}


def test_of_staged_images_those_that_were_trained_on_stay_below_the_cap() -> None:
    rows = class_rows("robin", 40, source=Source.STAGED)
    everything = DatasetRules(minimum_per_class=1, validation_share=0.0, train_share=1.0, staged_cap=10)
    first = build_dataset(rows[20:], everything)
    assert on(Side.TRAIN, build_dataset(rows, everything, seen_by([first]))) == on(Side.TRAIN, first)


def test_a_removed_benchmark_image_sets_nothing_beside_it_apart() -> None:
    rows = class_rows("robin", 40, group="ab" * 32)
    rows.append(
        snapshot_row(100, "robin", group="ab" * 32, benchmark="difficult", label_kind=LabelKind.REJECTED)
    )
    rules = {row.image_id: row.rule for row in build_dataset(rows, DatasetRules(minimum_per_class=1))}
    assert rules[image_name(100)] == Rule.REMOVED
    assert Rule.BESIDE_BENCHMARK not in rules.values()


@pytest.mark.parametrize("bond", ["group", "visit"])
def test_what_left_the_library_is_still_known_to_its_group_and_visit(bond: str) -> None:
    """By the names of the newest ancestor that learned from it: it moved on after the first."""
    everything = DatasetRules(minimum_per_class=1, validation_share=0.0, train_share=1.0)
    old, new = (
        {"group": name * 32} if bond == "group" else {"guest": "ann", "visit": name} for name in ("ab", "cd")
    )
    first = build_dataset([snapshot_row(0, "robin", **old)], everything)
    second = build_dataset([snapshot_row(0, "robin", **new)], everything, seen_by([first]))
    to_test = everything.model_copy(update={"train_share": 1e-9})
    late = [snapshot_row(1, "robin", **new), *class_rows("robin", 5, 100, **old)]
    sides = {row.image_id: row for row in build_dataset(late, to_test, seen_by([second, first]))}
    assert sides[image_name(1)].side is Side.TRAIN
    assert sides[image_name(100)].rule == Rule.TEST_SHARE


def test_what_left_the_library_is_known_to_the_duplicates_that_name_it() -> None:
    everything = DatasetRules(minimum_per_class=1, validation_share=0.0, train_share=1.0)
    first = build_dataset([snapshot_row(0, "robin", group="ab" * 32)], everything)
    found_later = snapshot_row(1, "robin", group=image_name(0), near_duplicate_of=image_name(0))
    late = [found_later, snapshot_row(2, "robin", group=image_name(0), benchmark="difficult")]
    rules = {row.image_id: row.rule for row in build_dataset(late, everything, seen_by([first]))}
    assert rules[image_name(2)] == Rule.BENCHMARK_SEEN
