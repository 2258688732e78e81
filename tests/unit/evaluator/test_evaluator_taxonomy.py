"""Old answers under new classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from contracts.taxonomy import Change, Merge, Operation, Rename, Split, Taxonomy
from services.evaluator.domain.taxonomy import (
    Fold,
    class_under,
    fold_under,
    labels_by_class,
    truth_under,
    unfolded,
)
from tests.support.colour_library import NOW


def taxonomy_of(*changes: Change) -> Taxonomy:
    return Taxonomy(
        operations=tuple(
            Operation(version=n, change=one, by="ann", at=NOW) for n, one in enumerate(changes, 1)
        )
    )


def own(*names: str) -> tuple[frozenset[str], ...]:
    """Each class of one label, its name."""
    return tuple(frozenset({name}) for name in names)


MERGED = taxonomy_of(Merge(into="ape", members=("chimp", "bonobo")))


def test_classes_that_a_version_merges_are_one_column_with_their_scores_added() -> None:
    fold = fold_under(MERGED, 1, ("bonobo", "chimp", "owl"), own("bonobo", "chimp", "owl"), 0)
    assert fold == Fold(("ape", "owl"), (0, 0, 1))
    scores = np.array([[0.25, 0.5, 0.25], [0.0, 0.125, 0.875]], np.float32)
    np.testing.assert_array_equal(fold.apply(scores), [[0.75, 0.25], [0.125, 0.875]])


def test_columns_lie_by_name_wherever_the_classes_lay() -> None:
    taxonomy = taxonomy_of(Rename(old="zebra", new="aardvark"))
    fold = fold_under(taxonomy, 1, ("owl", "zebra"), own("owl", "zebra"), 0)
    assert fold == Fold(("aardvark", "owl"), (1, 0))
    np.testing.assert_array_equal(fold.apply(np.array([[0.25, 0.75]], np.float32)), [[0.75, 0.25]])


def test_scores_of_unmerged_classes_are_the_very_same() -> None:
    scores = np.random.default_rng(1).random((5, 3), np.float32)
    assert unfolded(("a", "b", "c")).apply(scores) is scores
    folded = Fold(("a", "b"), (1, 0, 1)).apply(scores)
    np.testing.assert_array_equal(folded[:, 0], scores[:, 1])


def test_the_sum_of_a_row_stays_whatever_is_merged() -> None:
    scores = np.random.default_rng(2).dirichlet(np.ones(50), 20).astype(np.float32)
    fold = Fold(tuple("abcde"), tuple(number % 5 for number in range(50)))
    np.testing.assert_allclose(fold.apply(scores).sum(axis=1), scores.sum(axis=1), atol=1e-6)


def test_a_class_that_the_version_divides_keeps_a_column_that_no_image_shows() -> None:
    labels = (frozenset({"chimp", "bonobo"}), frozenset({"owl"}))
    fold = fold_under(MERGED, 0, ("ape", "owl"), labels, 0)
    assert (fold.columns, fold.undivided) == (("ape", "owl"), ("ape",))
    assert fold.column_of() == {"owl": 1}
    chimp = class_under(MERGED, 0, "chimp", is_class=True, packed_version=0)
    assert truth_under(chimp, fold.column_of()) == -1


def test_a_divided_class_is_not_taken_for_the_part_that_has_its_name() -> None:
    taxonomy = taxonomy_of(
        Merge(into="flamingo", members=("flamingo/adult", "flamingo/juvenile")), Split(class_name="flamingo")
    )
    labels = (frozenset({"flamingo", "flamingo/juvenile"}),)
    fold = fold_under(taxonomy, 2, ("flamingo",), labels, 2)
    assert fold.columns == ("flamingo (undivided)",)
    assert fold.column_of() == {}


def test_labels_are_read_under_the_names_they_were_packed_by() -> None:
    taxonomy = taxonomy_of(Rename(old="chimp", new="pan"), Merge(into="ape", members=("pan", "bonobo")))
    fold = fold_under(taxonomy, 2, ("bonobo", "chimp"), own("bonobo", "chimp"), 0)
    assert fold.columns == ("ape",)
    back = fold_under(taxonomy, 0, ("ape", "owl"), (frozenset({"pan"}), frozenset({"owl"})), 2)
    assert back.columns == ("chimp", "owl")


def test_a_class_that_the_model_does_not_know_has_no_column() -> None:
    fold = fold_under(MERGED, 1, ("owl",), own("owl"), 0)
    ape = class_under(MERGED, 1, "chimp", is_class=True, packed_version=0)
    assert (ape, truth_under(ape, fold.column_of())) == ("ape", -1)


@pytest.mark.parametrize("label", [None, "chimp"])
def test_an_image_without_a_class_shows_none_under_any_version(label: str | None) -> None:
    assert class_under(MERGED, 1, label, is_class=False, packed_version=0) is None


def test_a_version_that_does_not_exist_is_refused() -> None:
    with pytest.raises(LookupError, match="no version 2 of the taxonomy"):
        fold_under(MERGED, 2, ("owl",), own("owl"), 0)


def test_a_class_has_the_labels_it_was_trained_on_before_those_it_was_shown() -> None:
    def row(index: int, label: str | None, side: str) -> dict[str, Any]:
        return {"class_index": index, "label": label, "side": side}

    rows = [
        row(0, "chimp", "train"), row(0, "bonobo", "train"), row(0, "gorilla", "test"), row(1, "owl", "test"),
        row(-1, "owl", "train"), row(1, None, "train"),
    ]  # fmt: skip
    assert labels_by_class(rows, ("ape", "bird", "zebra")) == (
        frozenset({"chimp", "bonobo"}), frozenset({"owl"}), frozenset({"zebra"}),
    )  # fmt: skip
