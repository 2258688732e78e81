"""Which image goes where: the rules of domain.md section 2, one by one."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contracts.manifests import DATASET_COLUMNS, DatasetRow, SnapshotRow
from contracts.training import DatasetRules
from contracts.values import LabelKind, Side, Source
from services.runtime.shards import ManifestDamaged, read_manifest
from services.trainer.domain.dataset import build_dataset
from services.trainer.domain.errors import TrainingError
from services.trainer.domain.rules import Rule
from services.trainer.domain.seen import Seen, seen_by
from services.trainer.domain.summary import check_trainable, classes_of, counts_of, summarise
from services.trainer.domain.units import LARGEST_VISIT, place_of
from services.trainer.fitting.manifest import read_dataset, write_dataset
from tests.support.snapshots import class_rows, image_name, snapshot_row

RULES = DatasetRules()


def rules_by_image(rows: list[SnapshotRow], rules: DatasetRules = RULES, **seen: set[str]) -> dict[str, str]:
    known = Seen(**{kind: dict.fromkeys(images, ()) for kind, images in seen.items()})
    return {row.image_id: row.rule for row in build_dataset(rows, rules, known)}


def side_counts(dataset: Sequence[DatasetRow], label: str) -> Counter[str]:
    return Counter(row.side.value for row in dataset if row.label == label)


def test_a_class_of_39_is_left_out_and_one_of_40_is_trained() -> None:
    dataset = build_dataset([*class_rows("robin", 39), *class_rows("wren", 40, 100)], RULES)
    assert side_counts(dataset, "robin") == {"out": 39}
    assert {row.rule for row in dataset if row.label == "robin"} == {Rule.BELOW_MINIMUM}
    assert side_counts(dataset, "wren")["out"] == 0
    assert classes_of(dataset) == ("wren",)


def test_125_images_train_and_validate_and_the_overflow_is_the_test_set() -> None:
    dataset = build_dataset(class_rows("robin", 400), RULES)
    sides = side_counts(dataset, "robin")
    assert sides["train"] + sides["validation"] == 125
    assert sides["test"] == 275
    assert 3 <= sides["validation"] <= 25  # 12.5 expected, the hash decides
    assert {row.rule for row in dataset if row.side is Side.TEST} == {Rule.OVERFLOW}


def test_80_10_10_gives_a_young_library_a_test_side() -> None:
    rules = DatasetRules(train_share=0.8, validation_share=0.1)
    sides = side_counts(build_dataset(class_rows("robin", 120), rules), "robin")
    assert sides["test"] > 0
    assert sum(sides.values()) == 120


def test_staged_and_synthetic_images_only_fill_up_to_60_staged_ones_first() -> None:
    rows = [
        *class_rows("robin", 10),
        *class_rows("robin", 30, 100, source=Source.STAGED),
        *class_rows("robin", 30, 200, source=Source.SYNTHETIC),
    ]
    dataset = build_dataset(rows, RULES)
    used = Counter(row.source.value for row in dataset if row.side is not Side.OUT)
    assert used == {"real": 10, "staged": 30, "synthetic": 20}
    assert {row.rule for row in dataset if row.side is Side.OUT} == {Rule.STAGED_CAP}


def test_60_real_images_leave_no_room_for_staged_ones() -> None:
    rows = [*class_rows("robin", 60), *class_rows("robin", 5, 100, source=Source.STAGED)]
    dataset = build_dataset(rows, RULES)
    assert {row.side for row in dataset if row.source is Source.STAGED} == {Side.OUT}


def test_what_no_model_may_learn_from_says_why() -> None:
    rows = [
        *class_rows("robin", 50),
        snapshot_row(100, None),
        snapshot_row(101, "Unknown Bird", label_kind=LabelKind.UNKNOWN),
        snapshot_row(102, near_duplicate_of=image_name(0), group=image_name(0)),
        snapshot_row(103, benchmark="difficult"),
        snapshot_row(104, "popcorn", benchmark="out-of-scope"),
        snapshot_row(105, group=image_name(103)),
    ]
    dataset = {row.image_id: row for row in build_dataset(rows, RULES)}
    assert [dataset[image_name(number)].rule for number in range(100, 106)] == [
        Rule.UNLABELLED, Rule.UNKNOWN_LABEL, Rule.NEAR_DUPLICATE, Rule.BENCHMARK, Rule.BENCHMARK,
        Rule.BESIDE_BENCHMARK,
    ]  # fmt: skip
    assert dataset[image_name(103)].class_index == 0
    assert dataset[image_name(104)].class_index == -1
    assert dataset[image_name(104)].class_name is None


def test_a_burst_is_used_whole_and_on_one_side() -> None:
    bursts = [
        snapshot_row(3 * burst + shot, group=image_name(3 * burst))
        for burst in range(40)
        for shot in range(3)
    ]
    sides = {row.image_id: row.side for row in build_dataset(bursts, RULES)}
    assert Side.OUT not in sides.values()
    assert set(sides.values()) == {Side.TRAIN, Side.VALIDATION}
    for burst in range(40):
        assert len({sides[image_name(3 * burst + shot)] for shot in range(3)}) == 1


def test_a_visit_stays_on_one_side_and_a_photographer_is_split() -> None:
    visits = [
        row
        for guest in range(20)
        for row in class_rows("robin", LARGEST_VISIT, 100 * guest, guest=f"guest {guest}")
    ]
    sides = {row.image_id: row.side for row in build_dataset(visits, RULES)}
    for guest in range(20):
        assert len({sides[row.image_id] for row in visits if row.guest == f"guest {guest}"}) == 1
    many = class_rows("robin", 120, guest="photographer")
    assert len({row.side for row in build_dataset(many, RULES)}) == 2


def test_an_image_an_ancestor_trained_on_is_kept_before_newcomers_and_never_tested_on() -> None:
    young = build_dataset(class_rows("robin", 300), RULES)
    trained = {row.image_id for row in young if row.side is Side.TRAIN}
    seen = seen_by([young])
    grown = build_dataset([*class_rows("robin", 300), *class_rows("robin", 300, 1000)], RULES, seen)
    assert {row.image_id for row in grown if row.side is Side.TRAIN} >= trained
    shrunk = build_dataset(class_rows("robin", 300), DatasetRules(maximum_per_class=50), seen)
    assert {row.side for row in shrunk if row.image_id in trained} == {Side.TRAIN, Side.OUT}
    assert {row.rule for row in shrunk if row.image_id in trained} == {Rule.TRAIN, Rule.SEEN}


def test_a_benchmark_image_that_an_ancestor_trained_on_tests_nothing() -> None:
    rows = [*class_rows("robin", 50), snapshot_row(100, benchmark="difficult")]
    assert rules_by_image(rows, trained={image_name(100)})[image_name(100)] == Rule.BENCHMARK_SEEN


def test_the_place_of_a_unit_never_changes() -> None:
    """A changed hash would move images between the sides of every library there is."""
    place = place_of("group:" + "ab" * 32)
    assert (round(place.side, 6), round(place.turn, 6)) == (0.205887, 0.100946)


def test_shares_over_one_are_refused() -> None:
    with pytest.raises(TrainingError, match=r"0\.9 and validation share 0\.2 exceed 1"):
        build_dataset([], DatasetRules(validation_share=0.2))


def test_an_image_that_is_in_a_snapshot_twice_is_refused() -> None:
    rows = [*class_rows("robin", 50), snapshot_row(7, "wren", group="ab" * 32)]
    with pytest.raises(TrainingError, match=f"image {image_name(7)} is in the snapshot twice; pack a new"):
        build_dataset(rows, RULES)


def test_a_data_set_without_two_classes_names_the_nearest() -> None:
    rows = [*class_rows("robin", 38), *class_rows("wren", 12, 100), *class_rows("owl", 3, 200)]
    with pytest.raises(TrainingError) as caught:
        check_trainable(build_dataset(rows, RULES), RULES, {})
    assert caught.value.error == "no class has 40 labelled images"
    assert caught.value.remedy == (
        "lower rules.minimum_per_class or label more; nearest: robin 38, wren 12, owl 3"
    )
    only = build_dataset([*class_rows("robin", 41), *class_rows("wren", 12, 100)], RULES)
    with pytest.raises(TrainingError, match=r"only one class, 'robin', .* nearest: wren 12"):
        check_trainable(only, RULES, {})


def test_classes_of_one_visit_that_validates_are_not_called_too_small() -> None:
    visits = (f"day {number}" for number in range(1000))
    day = next(visit for visit in visits if place_of(f"named:3:ann:{visit}").side < RULES.validation_share)
    rows = [
        *class_rows("robin", 45, guest="ann", visit=day),
        *class_rows("wren", 50, 100, guest="ann", visit=day),
    ]
    with pytest.raises(TrainingError) as caught:
        check_trainable(build_dataset(rows, RULES), RULES, {})
    assert caught.value.error == "no class has 40 labelled images and one drawn to train"
    assert caught.value.remedy == (
        "add photos of other visits to wren 50, robin 45, of which no visit is to train"
    )


def test_the_manifest_reads_back_and_the_same_rows_are_the_same_bytes() -> None:
    rows = [*class_rows("robin", 45), *class_rows("wren", 45, 100), snapshot_row(300, None)]
    dataset = build_dataset(rows, RULES)
    data = write_dataset(dataset)
    assert read_dataset(data) == dataset
    assert write_dataset(build_dataset(rows[::-1], RULES)) == data
    assert list(read_manifest(data, DATASET_COLUMNS)[0]) == list(DATASET_COLUMNS)
    assert counts_of(dataset).out == 1


def stored(rows: Sequence[DatasetRow], **replaced: list[object]) -> bytes:
    """A data set's manifest with other columns than the trainer writes; None drops one."""
    table = pq.read_table(pa.BufferReader(write_dataset(rows)))
    for name, values in replaced.items():
        place = table.column_names.index(name)
        table = table.remove_column(place)
        if values:
            table = table.add_column(place, name, pa.array(values))
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def test_a_manifest_of_before_units_were_written_down_is_read() -> None:
    dataset = build_dataset(class_rows("robin", 45), RULES)
    old = read_dataset(stored(dataset, unit=[]))
    assert {row.unit for row in old} == {None}
    trained = [row.image_id for row in dataset if row.side is Side.TRAIN]
    assert list(seen_by([old]).trained) == trained
    assert classes_of(old) == ("robin",)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("side", "left"),
        ("source", "dreamt"),
        ("source", None),
        ("image_id", "ab"),
        ("sha256", None),
        ("group", None),
    ],
)
def test_an_impossible_value_in_a_manifest_is_named(name: str, value: str | None) -> None:
    dataset = build_dataset(class_rows("robin", 3), RULES)
    values = [str(getattr(row, name)) for row in dataset]
    with pytest.raises(ManifestDamaged, match=f"row 1 of the manifest has the {name} {value!r}"):
        read_dataset(stored(dataset, **{name: [values[0], value, values[2]]}))


def test_an_image_that_joins_a_visit_does_not_move_it() -> None:
    """The side follows the visit's name, whichever image of it has the smallest id."""
    visit = class_rows("robin", 30, guest="ann", visit="sunday")
    [unit] = {row.unit for row in build_dataset(visit[:1], RULES)}
    for images in range(2, 31):
        assert {row.unit for row in build_dataset(visit[:images], RULES)} == {unit}


def test_the_minimum_counts_what_can_be_used_not_what_an_ancestor_used_up() -> None:
    """Images that chose an ancestor's weights and now fall to the test share help no class."""
    rows = class_rows("robin", 60)
    rules = DatasetRules(train_share=0.5, validation_share=0.0, minimum_per_class=1)
    tested = [row.image_id for row in build_dataset(rows, rules) if row.side is Side.TEST]
    strict = rules.model_copy(update={"minimum_per_class": 61 - len(tested)})
    seen = Seen(validated=dict.fromkeys(tested, ()))
    dataset = build_dataset(rows, strict, seen)
    assert Counter(row.rule for row in dataset) == {
        Rule.SEEN: len(tested),
        Rule.BELOW_MINIMUM: 60 - len(tested),
    }
    [robin] = summarise(dataset, rows, strict).classes
    assert (robin.needed, robin.class_index) == (1, None)


def test_a_group_remembers_the_image_that_was_trained_on_and_left() -> None:
    young = build_dataset([*class_rows("robin", 50), *class_rows("wren", 50, 100)], RULES)
    trained = next(row.image_id for row in young if row.side is Side.TRAIN)
    late = [snapshot_row(900 + number, "robin", group=trained) for number in range(50)]
    rules = DatasetRules(train_share=0.1, validation_share=0.1)
    assert {row.side for row in build_dataset(late, rules, seen_by([young]))} == {Side.TRAIN}


def test_100_000_images_are_divided() -> None:
    like = dict(snapshot_row(0))
    names = [image_name(number) for number in range(100_000)]
    rows = [
        SnapshotRow.model_construct(
            **like | {"image_id": name, "group": name, "label": f"class {number % 700}"}
        )
        for number, name in enumerate(names)
    ]
    counts = counts_of(build_dataset(rows, RULES))
    assert counts.train + counts.validation + counts.test == 100_000
    assert counts.train + counts.validation == 700 * 125
