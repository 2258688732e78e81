"""Why an image is where it is, in sentences: every rule tells what it knows."""

from __future__ import annotations

import pytest

from contracts.manifests import DatasetRow, SnapshotRow
from contracts.training import DatasetRules
from contracts.values import LabelKind, Side, Source
from services.trainer.domain.dataset import build_dataset
from services.trainer.domain.explaining import Explainer, Explanation
from services.trainer.domain.known import Ancestor
from services.trainer.domain.rules import SIDES, TOLD, Rule
from services.trainer.domain.seen import seen_by
from services.trainer.domain.table import Table
from services.trainer.domain.units import place_of
from tests.support.snapshots import class_rows, image_name, snapshot_row

RULES = DatasetRules(
    minimum_per_class=5, maximum_per_class=12, staged_cap=8, train_share=0.5, validation_share=0.2
)
SHORT = 12


def drawn_to(rule: Rule, skip: int = 0) -> str:
    """A guest's visit that is drawn to that side by lot."""
    bounds = {Rule.VALIDATION: (0.0, 0.2), Rule.TRAIN: (0.2, 0.7), Rule.TEST_SHARE: (0.7, 1.0)}
    low, high = bounds[rule]
    visits = (f"day {number}" for number in range(1000))
    fitting = [visit for visit in visits if low <= place_of(f"named:3:ann:{visit}").side < high]
    return fitting[skip]


def visiting(label: str, count: int, first: int, visit: str) -> list[SnapshotRow]:
    return class_rows(label, count, first, guest="ann", visit=visit)


def explained(
    rows: list[SnapshotRow], *ancestors: Table[DatasetRow], rules: DatasetRules = RULES
) -> dict[str, Explanation]:
    """By image; the ancestors are newest first, 002 before 001."""
    dataset = build_dataset(rows, rules, seen_by(ancestors))
    line = [Ancestor(f"{len(ancestors) - n:03d}", one) for n, one in enumerate(ancestors)]
    explainer = Explainer(dataset, Table.of(SnapshotRow, rows), rules, line)
    told = {row.image_id: explainer.explain(row.image_id) for row in rows}
    return {image: one for image, one in told.items() if one is not None}


def test_every_rule_has_its_side_its_words_and_what_would_change_it() -> None:
    assert set(TOLD) == set(Rule)
    assert {SIDES[rule] for rule in Rule} == set(Side)
    for told in TOLD.values():
        assert len(told.short) < 40
        assert told.why.endswith(".")
        assert told.change.endswith(".")


def test_a_drawn_image_tells_its_visit_and_its_class() -> None:
    visit = drawn_to(Rule.TRAIN)
    one = explained(visiting("robin", 6, 0, visit))[image_name(0)]
    assert (one.side, one.rule, one.unit_images, one.class_name) == (Side.TRAIN, Rule.TRAIN, 6, "robin")
    assert one.why == (
        f"It is trained on as 'robin': its visit {visit!r} of 6 images is drawn by lot, once and for all runs, "
        "to train, and the class had room."
    )


def test_overflow_tells_the_maximum_and_test_share_the_lot() -> None:
    train, test = drawn_to(Rule.TRAIN), drawn_to(Rule.TEST_SHARE)
    rows = [*visiting("robin", 12, 0, train), *visiting("robin", 12, 100, drawn_to(Rule.TRAIN, 1)),
            *visiting("robin", 3, 200, test)]  # fmt: skip
    told = explained(rows)
    [full] = {one.why for one in told.values() if one.rule is Rule.OVERFLOW and one.unit_images == 12}
    assert "the 12 places" in full
    roomy = explained(rows, rules=RULES.model_copy(update={"maximum_per_class": 100}))
    assert roomy[image_name(200)].rule is Rule.TEST_SHARE
    assert "neither trained on nor validated with" in roomy[image_name(200)].why


def test_what_is_left_out_by_what_it_is_says_so() -> None:
    rows = [
        *visiting("robin", 6, 0, drawn_to(Rule.TRAIN)),
        snapshot_row(100, None),
        snapshot_row(101, "Unknown Bird", label_kind=LabelKind.UNKNOWN),
        snapshot_row(102, "popcorn", label_kind=LabelKind.OUT_OF_SCOPE),
        snapshot_row(103, "robin", label_kind=LabelKind.REJECTED),
        snapshot_row(104, near_duplicate_of=image_name(0), group=image_name(0)),
        snapshot_row(105, benchmark="difficult"),
        snapshot_row(106, group=image_name(105)),
        *class_rows("owl", 3, 200),
    ]
    told = explained(rows)
    words = {
        100: "no label", 101: "'Unknown Bird' is of kind unknown", 102: "'popcorn' is out of scope",
        103: "removed it", 104: f"near duplicate of {image_name(0)[:SHORT]}", 105: "benchmark set 'difficult'",
        106: f"{image_name(105)[:SHORT]} of the benchmark set 'difficult' (the same group of look-alikes)",
        200: "has 3 usable images of the 5 that it needs, 2 too few",
    }  # fmt: skip
    for number, said in words.items():
        assert said in told[image_name(number)].why
    assert image_name(0)[:SHORT] in told[image_name(104)].change
    assert "Label 2 more" in told[image_name(200)].change


def test_staged_images_beyond_the_cap_tell_it() -> None:
    rows = [
        *visiting("robin", 7, 0, drawn_to(Rule.TRAIN)),
        *class_rows("robin", 3, 100, source=Source.STAGED),
    ]
    told = [one for one in explained(rows).values() if one.rule is Rule.STAGED_CAP]
    assert len(told) == 2
    assert "It is staged, and such images fill 'robin' only up to 8" in told[0].why


def test_a_class_without_anything_to_train_on_asks_for_other_visits() -> None:
    told = explained(visiting("robin", 9, 0, drawn_to(Rule.VALIDATION)))[image_name(0)]
    assert (told.side, told.rule) == (Side.OUT, Rule.NOTHING_TO_TRAIN)
    assert "other visits" in told.change


def test_the_ancestor_that_trained_on_it_is_named() -> None:
    visit = drawn_to(Rule.TRAIN)
    young = build_dataset(visiting("robin", 6, 0, visit), RULES)
    rows = [*visiting("robin", 6, 0, visit), *visiting("robin", 1, 6, visit)]
    told = explained(rows, young)
    assert "model 001 trained on it, and what was trained on is trained on again" in told[image_name(0)].why
    newcomer = told[image_name(6)]
    assert "which belongs to it" in newcomer.why
    assert [(one.version, one.side) for one in newcomer.ancestors] == [("001", None)]


def test_a_benchmark_that_an_ancestor_trained_on_says_which() -> None:
    visit = drawn_to(Rule.TRAIN)
    young = build_dataset(visiting("robin", 6, 0, visit), RULES)
    rows = [*visiting("robin", 6, 0, visit), *class_rows("robin", 9, 100)]
    rows[0] = rows[0].model_copy(update={"benchmark": "difficult"})
    told = explained(rows, young, young)[image_name(0)]
    assert told.rule is Rule.BENCHMARK_SEEN
    assert "model 002 trained on it and model 001 trained on it" in told.why


def test_an_image_that_finds_no_place_again_says_why() -> None:
    visit = drawn_to(Rule.TRAIN)
    young = build_dataset(visiting("robin", 12, 0, visit), RULES)
    tight = RULES.model_copy(update={"maximum_per_class": 6})
    told = explained(visiting("robin", 12, 0, visit), young, rules=tight)
    out = [one for one in told.values() if one.side is Side.OUT]
    assert {one.rule for one in out} == {Rule.SEEN}
    assert (
        "model 001 trained on it; and it found no place to be trained on: 'robin' learns from 6" in out[0].why
    )


def test_what_left_the_library_is_still_known_by_its_group() -> None:
    visit = drawn_to(Rule.TRAIN)
    young = build_dataset(visiting("robin", 6, 0, visit), RULES)
    late = [
        snapshot_row(50, "robin", group=image_name(0)),
        *visiting("robin", 6, 100, drawn_to(Rule.TRAIN, 1)),
    ]
    told = explained(late, young)[image_name(50)]
    assert told.rule is Rule.TRAIN
    assert f"model 001 trained on {image_name(0)[:SHORT]}, which belonged to it" in told.why


def test_what_went_its_own_way_is_no_reason_for_the_group_that_it_left() -> None:
    """What an ancestor trained on is in the snapshot still: it has not left the library."""
    group = "ab" * 32
    young = build_dataset(
        class_rows("robin", 6, group=group), DatasetRules(minimum_per_class=1, validation_share=0)
    )
    left = [*class_rows("robin", 6), *class_rows("robin", 40, 100)]
    told = explained([*left, snapshot_row(200, "robin", group=group)], young)
    assert told[image_name(0)].rule is Rule.TRAIN
    assert "model 001 trained on it" in told[image_name(0)].why
    stayed = told[image_name(200)]
    assert (stayed.unit_images, "model 001" in stayed.why) == (1, False)


def test_what_only_chose_weights_and_is_trained_on_now_is_so_by_lot() -> None:
    visit = drawn_to(Rule.VALIDATION)
    rows = [*visiting("robin", 6, 0, visit), *visiting("robin", 6, 100, drawn_to(Rule.TRAIN))]
    young = build_dataset(rows, RULES)
    now = RULES.model_copy(update={"validation_share": 0.0, "train_share": 1.0})
    told = explained(rows, young, rules=now)[image_name(0)]
    assert told.rule is Rule.TRAIN
    assert [one.side for one in told.ancestors] == [Side.VALIDATION]
    assert "drawn by lot" in told.why


def test_of_a_unit_what_was_trained_on_is_named_before_what_chose_weights() -> None:
    """A visit that validated, and a burst that was trained on, are one since a photo joined both."""
    rows = [
        *visiting("robin", 4, 0, drawn_to(Rule.VALIDATION)),
        *visiting("robin", 4, 10, drawn_to(Rule.TRAIN)),
    ]
    young = build_dataset(rows, RULES)
    joined = [
        row.model_copy(update={"group": image_name(0)}) if n in {0, 4} else row for n, row in enumerate(rows)
    ]
    for one in explained(joined, young).values():
        assert one.rule is Rule.TRAIN
        assert "model 001 trained on" in one.why


@pytest.mark.parametrize("label", ["{minimum}", "{0}", "%s", "a'b"])
def test_braces_in_a_label_are_text(label: str) -> None:
    told = explained(class_rows(label, 2))[image_name(0)]
    assert repr(label) in told.why


def test_a_manifest_without_units_is_explained_as_well() -> None:
    visit = drawn_to(Rule.TRAIN)
    rows = visiting("robin", 6, 0, visit)
    dataset = build_dataset(rows, RULES)
    old = dataset.with_columns(unit=[None] * len(dataset))
    told = Explainer(old, Table.of(SnapshotRow, rows), RULES).explain(image_name(0))
    assert told is not None
    assert told.unit_images == 6
    assert Explainer(old, Table.of(SnapshotRow, rows), RULES).explain("ab" * 32) is None
