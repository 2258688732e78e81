"""The table of commonly confused pairs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.evaluator.domain.confused import (
    ConfusedChange,
    ConfusedPair,
    ConfusedPairs,
    ConfusionRefused,
    replayed,
)

ELEPHANTS = ConfusedPairs(2, (ConfusedPair("african", "asian", 0.5),))


def test_a_pair_has_no_direction_and_unlisted_pairs_cost_all() -> None:
    assert ELEPHANTS.weight_of("asian", "african") == ELEPHANTS.weight_of("african", "asian") == 0.5
    assert ELEPHANTS.weight_of("asian", "okapi") == 1.0


def test_indices_are_those_of_the_model_in_both_directions_and_missing_classes_are_told() -> None:
    assert ELEPHANTS.indexed(("asian", "okapi", "african")) == {(0, 2): 0.5, (2, 0): 0.5}
    assert ELEPHANTS.indexed(("asian", "okapi")) == {}
    assert ELEPHANTS.missing(("asian", "okapi")) == ELEPHANTS.pairs
    assert ELEPHANTS.missing(("asian", "african")) == ()


def test_a_change_makes_the_next_version_and_none_takes_the_pair_off() -> None:
    assert ELEPHANTS.change("asian", "african", 0.25) == ConfusedChange(3, "african", "asian", 0.25)
    off = ELEPHANTS.change("african", "asian", None)
    assert replayed([ConfusedChange(2, "african", "asian", 0.5), off]) == ConfusedPairs(3, ())


@pytest.mark.parametrize(
    ("one", "other", "weight", "sentence"),
    [
        ("asian", "asian", 0.5, "a pair is of two classes, and both are 'asian'"),
        ("asian", "african", 1.5, "weight 1.5 of 'african' and 'asian': give a number from 0"),
        ("asian", "african", -0.1, "give a number from 0"),
        ("asian", "african", float("nan"), "give a number from 0"),
        ("asian", "african", 0.5, "has the weight 0.5 already; nothing was changed"),
        ("asian", "okapi", None, "is not on the table; nothing was changed"),
    ],
)
def test_what_is_no_change_is_refused_with_a_sentence(
    one: str, other: str, weight: float | None, sentence: str
) -> None:
    with pytest.raises(ConfusionRefused, match=sentence):
        ELEPHANTS.change(one, other, weight)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc"), st.none() | st.floats(0, 1))))
def test_a_table_is_what_its_changes_made_of_it(wanted: list[tuple[str, str, float | None]]) -> None:
    changes: list[ConfusedChange] = []
    expected: dict[frozenset[str], float] = {}
    for one, other, weight in wanted:
        try:
            changes.append(replayed(changes).change(one, other, weight))
        except ConfusionRefused:
            continue
        expected.pop(frozenset((one, other)), None)
        if weight is not None:
            expected[frozenset((one, other))] = weight
    table = replayed(changes)
    assert table.version == len(changes)
    assert {frozenset((pair.one, pair.other)): pair.weight for pair in table.pairs} == expected
    assert list(table.pairs) == sorted(table.pairs)
