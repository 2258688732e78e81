"""What cannot be done to a taxonomy, each with the sentence that says so."""

from __future__ import annotations

import pytest

from contracts.taxonomy import Merge, Rename, Split, Taxonomy
from contracts.values import LabelKind
from services.ingest.domain import taxonomy as judge
from services.ingest.domain.faults import ActionRefused
from services.ingest.domain.names import former_names
from tests.support.taxonomies import taxonomy_of

LABELS = {"chimp", "bonobo", "gorilla", "flamingo", "flamingo/juvenile", "bird/owl"}
APES = Merge(into="chimp-bonobo", members=("chimp", "bonobo"))
GREAT = Merge(into="great-ape", members=("chimp-bonobo", "gorilla"))


def refused(call: object, *arguments: object) -> tuple[int, str]:
    with pytest.raises(ActionRefused) as caught:
        call(*arguments)  # type: ignore[operator]
    return caught.value.status, str(caught.value)


def merging(taxonomy: Taxonomy, into: str, *members: str) -> str:
    return refused(judge.merge, taxonomy, LABELS, into, members)[1]


def renaming(taxonomy: Taxonomy, old: str, new: str) -> str:
    return refused(judge.rename, taxonomy, LABELS, old, new)[1]


def test_a_member_belongs_to_one_rule() -> None:
    assert merging(taxonomy_of(APES), "ape", "bonobo", "gorilla") == (
        "'bonobo' is already merged into 'chimp-bonobo'; split it first"
    )
    assert merging(taxonomy_of(APES, GREAT), "ape", "chimp-bonobo", "flamingo") == (
        "'chimp-bonobo' is already merged into 'great-ape'; split it first"
    )


def test_a_merge_does_not_take_the_name_of_something_else() -> None:
    assert "'gorilla' is a sub-class already" in merging(Taxonomy(), "gorilla", "chimp", "bonobo")
    assert "is a merged class already" in merging(taxonomy_of(APES), "chimp-bonobo", "gorilla")
    assert "is a merged class already" in merging(
        taxonomy_of(APES), "chimp-bonobo", "chimp-bonobo", "gorilla"
    )
    assert "'chimp' is a sub-class already" in merging(taxonomy_of(APES), "chimp", "gorilla", "flamingo")
    young = taxonomy_of(Merge(into="young", members=("flamingo/juvenile",)))
    assert "sub-class already" in merging(young, "flamingo/juvenile", "flamingo", "chimp")
    renamed = taxonomy_of(Rename(old="duck", new="gorilla"))
    assert (
        merging(renamed, "duck", "chimp") == "'duck' is a former name of 'gorilla'; choose that or a new name"
    )


def test_a_merge_that_changes_nothing_is_refused_and_one_that_takes_in_what_is_below_is_not() -> None:
    assert merging(Taxonomy(), "chimp", "chimp") == "merging 'chimp' into 'chimp' changes nothing"
    assert judge.merge(Taxonomy(), LABELS, "flamingo", ["flamingo"]) == Merge(
        into="flamingo", members=("flamingo",)
    )


@pytest.mark.parametrize("name", ["/", "a//b", "/a", "a/", "a/ /b"])
def test_empty_levels_are_refused(name: str) -> None:
    sentence = f"{name!r} has an empty level; write it like 'flamingo/juvenile'"
    assert merging(Taxonomy(), name, "chimp") == sentence
    assert merging(Taxonomy(), "ape", name) == sentence
    assert renaming(Taxonomy(), "chimp", name) == sentence


def test_only_an_outermost_merged_class_can_be_split() -> None:
    assert refused(judge.split, Taxonomy(), "chimp") == (
        404,
        "'chimp' is not a merged class; merged are: none",
    )
    assert refused(judge.split, taxonomy_of(APES, GREAT), "chimp-bonobo") == (
        409, "'chimp-bonobo' is a part of 'great-ape'; split 'great-ape' first",
    )  # fmt: skip


def test_a_rename_needs_something_to_rename_and_a_name_that_is_free() -> None:
    assert refused(judge.rename, Taxonomy(), LABELS, "zebra", "horse")[0] == 404
    for taken in ("gorilla", "bird", "bird/owl"):
        assert "exists already: that is a merge" in renaming(Taxonomy(), "chimp", taken)
    assert "exists already" in renaming(taxonomy_of(APES), "gorilla", "chimp-bonobo")
    assert "already" in renaming(Taxonomy(), "chimp", "chimp")
    assert "lie within each other" in renaming(Taxonomy(), "flamingo", "flamingo/adult")
    assert "lie within each other" in renaming(Taxonomy(), "flamingo/juvenile", "flamingo")
    assert "would have 201 characters" in renaming(Taxonomy(), "flamingo", "x" * 192)


def test_a_rename_into_or_out_of_a_merged_class_is_refused() -> None:
    birds = taxonomy_of(Merge(into="flyer", members=("bird",)))
    assert "'bird/owl' is trained as 'flyer', and under its new name would be as 'owl'" in renaming(
        birds, "bird/owl", "owl"
    )
    assert "would be as 'flyer'" in renaming(birds, "chimp", "bird/chimp")
    assert judge.rename(birds, LABELS, "bird/owl", "bird/eagle") == Rename(old="bird/owl", new="bird/eagle")
    assert judge.rename(birds, LABELS, "flyer", "winged") == Rename(old="flyer", new="winged")


def test_a_merge_that_would_tear_a_merged_class_apart_is_refused() -> None:
    below = taxonomy_of(Merge(into="bird/water", members=("flamingo",)))
    status, why = refused(judge.merge, below, LABELS, "flyer", ["bird"])
    assert (status, "make 'bird/water' a member too" in why) == (409, True)
    assert judge.merge(below, LABELS, "flyer", ["bird", "bird/water"]).into == "flyer"
    flyers = taxonomy_of(Merge(into="flyer", members=("bird",)))
    assert "choose another name" in refused(judge.merge, flyers, LABELS, "bird/water", ["flamingo"])[1]


def test_a_former_name_goes_back_only_to_what_had_it() -> None:
    was_duck = taxonomy_of(Rename(old="duck", new="gorilla"))
    assert renaming(was_duck, "chimp", "duck") == "'duck' is a former name of 'gorilla'; choose another name"
    assert "'duck/young' is a former name" in renaming(was_duck, "chimp", "duck/young")
    assert judge.rename(was_duck, LABELS, "gorilla", "duck") == Rename(old="gorilla", new="duck")
    below = taxonomy_of(Rename(old="ape/small", new="gorilla"))
    assert "'ape/small' is a former name of 'gorilla'" in renaming(below, "chimp", "ape")
    assert former_names(taxonomy_of(Rename(old="a", new="b"), Rename(old="b/x", new="c"))) == {
        "a": "b", "b/x": "c", "a/x": "c",
    }  # fmt: skip


def test_only_the_newest_version_can_be_undone() -> None:
    assert "nothing to undo" in refused(judge.inverse, Taxonomy(), 1)[1]
    assert "undo version 2 first" in refused(judge.inverse, taxonomy_of(APES, GREAT), 1)[1]
    assert judge.inverse(taxonomy_of(APES, GREAT), 2) == Split(class_name="great-ape")
    assert judge.inverse(taxonomy_of(APES, Split(class_name="chimp-bonobo")), 2) == APES


def test_old_names_are_understood() -> None:
    taxonomy = taxonomy_of(Rename(old="ape", new="chimp"))
    assert judge.merge(taxonomy, LABELS, "x", ["ape", "chimp", "bonobo"]).members == ("chimp", "bonobo")
    assert judge.rename(taxonomy, LABELS, "ape", "pan") == Rename(old="chimp", new="pan")


def test_the_images_a_change_concerns_are_those_of_its_class() -> None:
    now = taxonomy_of(APES).at(1)
    great = judge.concerned(now, GREAT)
    assert [great(label, LabelKind.CLASS) for label in ("chimp", "gorilla", "flamingo")] == [
        True,
        True,
        False,
    ]
    assert not great("chimp", LabelKind.REJECTED)
    renamed = judge.concerned(now, Rename(old="chimp-bonobo", new="pan"))
    assert (renamed("chimp", LabelKind.CLASS), renamed("gorilla", LabelKind.CLASS)) == (True, False)


def test_nesting_unfolds_level_by_level() -> None:
    taxonomy = taxonomy_of(APES, GREAT, Split(class_name="great-ape"))
    assert [taxonomy.class_at("chimp/young", 0, version) for version in range(4)] == [
        "chimp/young", "chimp-bonobo", "great-ape", "chimp-bonobo",
    ]  # fmt: skip


def test_the_most_specific_member_wins() -> None:
    taxonomy = taxonomy_of(
        Merge(into="bird", members=("flamingo", "owl")),
        Merge(into="chick", members=("flamingo/juvenile", "owl/young")),
    )
    assert taxonomy.class_of("flamingo/adult") == "bird"
    assert taxonomy.class_of("flamingo/juvenile/grey") == "chick"
    assert taxonomy.class_of("flamingo-pink") == "flamingo-pink"
