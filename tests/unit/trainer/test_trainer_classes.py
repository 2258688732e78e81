"""Classes of a run: merged sub-classes train together, and any version applies to any snapshot."""

from __future__ import annotations

from collections import Counter

import pytest

from contracts.manifests import SnapshotRow
from contracts.taxonomy import Merge, Rename, Split
from contracts.training import DatasetRules
from contracts.values import LabelKind, Side
from services.runtime.shards import ManifestDamaged
from services.trainer.domain.classes import trained_as, under_version
from services.trainer.domain.dataset import build_dataset
from services.trainer.domain.errors import TrainingError
from services.trainer.domain.rules import Rule
from services.trainer.domain.summary import check_trainable, classes_of
from services.trainer.domain.units import LARGEST_VISIT
from services.trainer.fitting.manifest import read_taxonomy
from tests.support.snapshots import class_rows, image_name, snapshot_row
from tests.support.taxonomies import taxonomy_of

APES = Merge(into="chimp-bonobo", members=("chimp", "bonobo"))


def zoo() -> list[SnapshotRow]:
    """20 chimps, 25 bonobos, 30 flamingos and 15 of their young: as labelled, no class has 40."""
    return [
        *class_rows("chimp", 20), *class_rows("bonobo", 25, 100), *class_rows("flamingo", 30, 200),
        *class_rows("flamingo/juvenile", 15, 300),
    ]  # fmt: skip


def test_classes_that_are_too_small_alone_are_trained_together() -> None:
    taxonomy = taxonomy_of(APES, Merge(into="flamingo", members=("flamingo",)))
    rows = under_version(zoo(), taxonomy, 0, 2)
    dataset = build_dataset(rows, DatasetRules())
    assert classes_of(dataset) == ("chimp-bonobo", "flamingo")
    used = Counter((row.class_name, row.label) for row in dataset if row.side is not Side.OUT)
    assert used == {
        ("chimp-bonobo", "chimp"): 20, ("chimp-bonobo", "bonobo"): 25, ("flamingo", "flamingo"): 30,
        ("flamingo", "flamingo/juvenile"): 15,
    }  # fmt: skip
    assert {row.class_index for row in dataset if row.label == "bonobo"} == {0}


def test_without_a_taxonomy_each_label_is_its_own_class_and_the_nearest_classes_are_named() -> None:
    with pytest.raises(TrainingError, match="nearest: flamingo 30, bonobo 25, chimp 20"):
        check_trainable(build_dataset(zoo(), DatasetRules()), DatasetRules(), {})
    rows = under_version(zoo(), taxonomy_of(APES), 0, 1)
    classes = {str(row.label): str(row.class_name) for row in rows}
    rules = DatasetRules(minimum_per_class=50)
    with pytest.raises(TrainingError, match="nearest: chimp-bonobo 45, flamingo 30, flamingo/juvenile 15"):
        check_trainable(build_dataset(rows, rules), rules, classes)


def test_the_maximum_counts_per_class() -> None:
    rows = under_version(
        [*class_rows("chimp", 100), *class_rows("bonobo", 100, 100)], taxonomy_of(APES), 0, 1
    )
    sides = Counter(row.side for row in build_dataset(rows, DatasetRules()))
    assert sides[Side.TRAIN] + sides[Side.VALIDATION] == 125
    assert sides[Side.TEST] == 75


def test_an_older_version_applies_to_labels_that_were_renamed_since() -> None:
    taxonomy = taxonomy_of(APES, Rename(old="bonobo", new="pan/paniscus"), Split(class_name="chimp-bonobo"))
    packed = [
        snapshot_row(0, "pan/paniscus", class_name="pan/paniscus"),
        snapshot_row(1, "chimp", class_name="chimp"),
    ]
    for version, classes in enumerate((["bonobo", "chimp"], ["chimp-bonobo"] * 2, ["chimp-bonobo"] * 2)):
        rows = under_version(packed, taxonomy, 3, version)
        assert [trained_as(row) for row in rows] == classes
        assert [row.label for row in rows] == ["pan/paniscus", "chimp"]


def test_a_version_newer_than_the_snapshot_is_refused_with_the_remedy() -> None:
    with pytest.raises(TrainingError) as caught:
        under_version(zoo(), taxonomy_of(APES), 1, 2)
    assert caught.value.error == "version 2 of the taxonomy is newer than the snapshot, which knows 1"
    assert caught.value.remedy == "pack a new snapshot, or set taxonomy_version to 1 or lower"


def test_a_taxonomy_that_is_no_json_is_damaged() -> None:
    document = taxonomy_of(APES)
    assert read_taxonomy(document.model_dump_json().encode()) == document
    with pytest.raises(ManifestDamaged, match="taxonomy"):
        read_taxonomy(b"{")


def test_each_kind_that_is_no_class_has_its_rule() -> None:
    rows = [
        snapshot_row(0, "Unknown Bird", label_kind=LabelKind.UNKNOWN),
        snapshot_row(1, "popcorn", label_kind=LabelKind.OUT_OF_SCOPE),
        snapshot_row(2, "chimp", label_kind=LabelKind.REJECTED),
        snapshot_row(3, "popcorn", label_kind=LabelKind.OUT_OF_SCOPE, benchmark="out-of-scope"),
        snapshot_row(4, "chimp", label_kind=LabelKind.REJECTED, benchmark="difficult"),
    ]
    dataset = {row.image_id: row for row in build_dataset(rows, DatasetRules())}
    found = [dataset[image_name(number)] for number in range(5)]
    assert [row.rule for row in found] == [
        Rule.UNKNOWN_LABEL, Rule.OUT_OF_SCOPE, Rule.REMOVED, Rule.BENCHMARK, Rule.REMOVED,
    ]  # fmt: skip
    assert {(row.class_name, row.class_index) for row in found} == {(None, -1)}


def test_a_named_visit_stays_on_one_side_however_many_images_and_classes_it_has() -> None:
    visit = [
        *class_rows("chimp", 3 * LARGEST_VISIT, guest="ann", visit="sunday"),
        *class_rows("bonobo", 5, 100, guest="ann", visit="sunday"),
    ]
    rules = DatasetRules(minimum_per_class=1)
    assert len({row.side for row in build_dataset(visit, rules)}) == 1
    days = [class_rows("chimp", 4, 10 * day, guest="ann", visit=f"day {day}") for day in range(40)]
    sides = {row.image_id: row.side for row in build_dataset([row for day in days for row in day], rules)}
    assert {len({sides[row.image_id] for row in day}) for day in days} == {1}
    assert len(set(sides.values())) > 1
