"""What a label says and what a request changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.values import LabelKind
from services.ingest.domain.labels import ImageLabel, change, kind_of

NONE = ImageLabel(None, None, 0)


@pytest.mark.parametrize(
    "label",
    ["Unknown Bird", "Random Plant", "unknown", "RANDOM", " unknown thing", "unknown/bird", "random_plant"],
)
def test_unknown_and_random_things_are_never_trained_on(label: str) -> None:
    assert kind_of(label) == LabelKind.UNKNOWN


@pytest.mark.parametrize(
    "label", ["bonobo", "Randomia", "unknowns", "great unknown", "7", "\N{LION FACE}", "flamingo/juvenile"]
)
def test_anything_else_is_a_class(label: str) -> None:
    assert kind_of(label) == LabelKind.CLASS


def test_the_first_label_has_no_previous_one() -> None:
    made = change(NONE, "bonobo", None)
    assert made is not None
    assert (made.revision, made.previous, made.kind) == (1, None, LabelKind.CLASS)


def test_a_label_that_is_already_there_changes_nothing_but_its_kind_may_change() -> None:
    current = ImageLabel("bonobo", LabelKind.CLASS, 3)
    assert change(current, "bonobo", None) is None
    made = change(current, "bonobo", LabelKind.UNKNOWN)
    assert made is not None
    assert (made.revision, made.previous, made.kind) == (4, "bonobo", LabelKind.UNKNOWN)


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
    assert current.text == (labels[-1] if labels else None)
