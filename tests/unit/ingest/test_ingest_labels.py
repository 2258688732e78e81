"""What a label says, what a request changes, what an undo brings back, and who disagrees."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.values import LabelKind
from services.ingest.domain.labels import (
    ImageLabel,
    LabelChange,
    Opinion,
    change,
    disagreement,
    kind_of,
    undone,
)

NONE = ImageLabel(None, None, 0)
CLASS, UNKNOWN = LabelKind.CLASS, LabelKind.UNKNOWN


@pytest.mark.parametrize(
    "label",
    ["Unknown Bird", "Random Plant", "unknown", "RANDOM", " unknown thing", "unknown/bird", "random_plant"],
)
def test_unknown_and_random_things_are_never_trained_on(label: str) -> None:
    assert kind_of(label) == UNKNOWN


@pytest.mark.parametrize(
    "label",
    [
        "bonobo",
        "Randomia",
        "unknowns",
        "great unknown",
        "7",
        "\N{LION FACE}",
        "flamingo/juvenile",
        "rejected",
    ],
)
def test_anything_else_is_a_class(label: str) -> None:
    assert kind_of(label) == CLASS


def test_the_first_label_has_no_previous_one() -> None:
    assert change(NONE, "bonobo", None) == LabelChange(1, None, None, "bonobo", CLASS)


def test_a_label_that_is_already_there_changes_nothing_but_its_kind_may_change() -> None:
    current = ImageLabel("bonobo", CLASS, 3)
    assert change(current, "bonobo", None) is None
    assert change(current, "bonobo", UNKNOWN) == LabelChange(4, "bonobo", CLASS, "bonobo", UNKNOWN)


@given(st.lists(st.sampled_from(["a", "b", "Unknown c"])))
def test_the_history_leads_from_the_first_label_to_the_current_one(labels: list[str]) -> None:
    current, history = NONE, []
    for label in labels:
        made = change(current, label, None)
        if made is not None:
            history.append(made)
            current = made.label
    assert [made.revision for made in history] == list(range(1, len(history) + 1))
    assert [made.previous for made in history] == [None, *(made.text for made in history)][: len(history)]
    assert [made.previous_kind for made in history] == [None, *(m.kind for m in history)][: len(history)]
    assert current.text == (labels[-1] if labels else None)


def test_an_undo_brings_back_label_and_kind_as_a_further_change() -> None:
    made = LabelChange(2, "grey thing", UNKNOWN, "bonobo", CLASS)
    assert undone(made.label, [made]) == LabelChange(3, "bonobo", CLASS, "grey thing", UNKNOWN)


def test_undoing_a_first_label_leaves_none_and_undoing_that_brings_it_back() -> None:
    first = LabelChange(1, None, None, "bonobo", CLASS)
    back = undone(first.label, [first])
    assert back == LabelChange(2, "bonobo", CLASS, None, None)
    assert back is not None
    assert undone(back.label, [back]) == LabelChange(3, None, None, "bonobo", CLASS)


def test_an_image_that_was_changed_since_is_left_alone() -> None:
    made = LabelChange(1, None, None, "bonobo", CLASS)
    assert undone(ImageLabel("lion", CLASS, 2), [made]) is None


def test_several_changes_in_a_row_are_undone_together_but_not_across_another_one() -> None:
    rows = [
        LabelChange(1, None, None, "a", CLASS),
        LabelChange(3, "b", CLASS, "c", CLASS),
        LabelChange(4, "c", CLASS, "d", CLASS),
    ]
    back = undone(rows[-1].label, rows)
    assert back is not None
    assert (back.revision, back.text) == (5, "b")


def test_changes_that_led_back_to_where_they_began_need_no_undo() -> None:
    rows = [LabelChange(2, "a", CLASS, "b", CLASS), LabelChange(3, "b", CLASS, "a", CLASS)]
    assert undone(rows[-1].label, rows) is None


OTTER = ImageLabel("otter", CLASS, 1)


@pytest.mark.parametrize(
    ("opinions", "expected"),
    [
        ([], False),
        ([Opinion("bob", "otter", CLASS)], False),
        ([Opinion("bob", "lion", CLASS)], True),
        ([Opinion("bob", "otter", UNKNOWN)], True),
        ([Opinion("bob", "lion", CLASS), Opinion("bob", "otter", CLASS)], False),
        ([Opinion("bob", "otter", CLASS), Opinion("bob", "lion", CLASS)], True),
        ([Opinion("bob", "lion", CLASS), Opinion("cleo", "otter", CLASS)], True),
        ([Opinion("ann", "lion", CLASS)], False),
    ],
    ids=["nobody", "same", "other", "other-kind", "came-round", "changed-mind", "one-of-two", "labeller"],
)
def test_people_disagree_when_somebodys_newest_opinion_differs(
    opinions: list[Opinion], expected: bool
) -> None:
    assert disagreement(OTTER, "ann", opinions) is expected


def test_nobody_disagrees_with_no_label() -> None:
    assert not disagreement(NONE, None, [Opinion("bob", "lion", CLASS)])
