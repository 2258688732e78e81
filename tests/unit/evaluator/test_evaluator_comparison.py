"""What one model fixes and breaks of another's answers."""

from __future__ import annotations

import pytest
from scipy.stats import binomtest

from services.evaluator.domain.comparison import (
    Answer,
    Change,
    ComparedImage,
    Tally,
    by_class,
    by_set,
    exact_mcnemar,
    learned_by,
    learned_units,
    tally,
)


def image(
    a: str, b: str, truth: str | None = "owl", *, knows: str = "ab", learned: str = "", name: str = "test"
) -> ComparedImage:
    """What both said of an image; ``knows`` and ``learned`` name models."""
    return ComparedImage(
        "0" * 64, name, truth, Answer(a, 99.0, "a" in knows), Answer(b, 98.0, "b" in knows), learned
    )


@pytest.mark.parametrize(
    ("one", "change"),
    [
        (image("owl", "owl"), Change.BOTH_RIGHT),
        (image("cat", "owl"), Change.FIXED),
        (image("owl", "cat"), Change.BROKEN),
        (image("cat", "dog"), Change.BOTH_WRONG),
        (image("owl", "owl", None, knows=""), Change.BOTH_WRONG),
        # A class of the same name that means something else is not right.
        (image("owl", "owl", knows="b"), Change.FIXED),
    ],
)
def test_an_image_is_fixed_when_only_the_second_model_names_its_class(
    one: ComparedImage, change: Change
) -> None:
    assert one.change is change


def test_only_images_that_neither_model_learned_from_and_one_knows_count() -> None:
    images = [
        image("owl", "owl"), image("cat", "owl"), image("cat", "owl"), image("owl", "cat"), image("a", "b"),
        image("cat", "owl", learned="a"), image("cat", "owl", learned="b"), image("a", "b", None, knows=""),
    ]  # fmt: skip
    counted = tally(images)
    assert counted == Tally(both_right=1, fixed=2, broken=1, both_wrong=1)
    assert (counted.images, counted.accuracy_a, counted.accuracy_b) == (5, 0.4, 0.6)


def test_counts_of_nothing_have_no_accuracy_and_no_doubt() -> None:
    assert (tally([]).accuracy_a, tally([]).accuracy_b, tally([]).p_value) == (None, None, 1.0)


def test_sets_add_up_to_the_whole() -> None:
    images = [image("owl", "owl"), image("cat", "owl", name="difficult"), image("a", "b", name="difficult")]
    assert by_set(images) == {"difficult": Tally(0, 1, 0, 1), "test": Tally(1, 0, 0, 0)}


def test_classes_are_listed_by_the_size_of_their_change() -> None:
    images = [image("x", "owl"), image("x", "owl"), image("cat", "x", "cat"), image("x", "cat", "cat")]
    assert by_class([*images, image("dog", "dog", "dog")]) == [("owl", 2, 0), ("cat", 1, 1)]


@pytest.mark.parametrize("fixed", [0, 1, 2, 7, 40, 1000])
@pytest.mark.parametrize("broken", [0, 1, 3, 7, 38, 1100])
def test_the_p_value_is_that_of_scipys_exact_test(fixed: int, broken: int) -> None:
    expected = binomtest(fixed, fixed + broken).pvalue if fixed + broken else 1.0
    assert exact_mcnemar(fixed, broken) == pytest.approx(expected, rel=1e-9)
    assert exact_mcnemar(fixed, broken) == exact_mcnemar(broken, fixed)


def test_very_many_differences_give_a_p_value_too() -> None:
    assert exact_mcnemar(50_000, 49_000) == pytest.approx(binomtest(49_000, 99_000).pvalue, rel=1e-8)
    assert exact_mcnemar(90_000, 10) == 0.0


def test_a_copy_of_a_learned_image_and_one_of_its_visit_are_learned_too() -> None:
    def row(image_id: str, side: str, group: str, unit: str | None = None) -> dict[str, str | None]:
        return {"image_id": image_id, "side": side, "group": group, "unit": unit}

    a = learned_units([row("1", "train", "1", "visit 7"), row("2", "test", "2")])
    b = learned_units([row("3", "validation", "3")])
    assert learned_by(row("1", "test", "1"), a, b) == "a"
    assert learned_by(row("9", "test", "1"), a, b) == "a"
    assert learned_by(row("8", "test", "8", "visit 7"), a, b) == "a"
    assert learned_by(row("2", "test", "2"), a, b) == ""
    assert learned_by(row("7", "test", "3", "visit 7"), a, b) == "ab"
    assert learned_by(row("visit 7", "test", "visit 7"), a, b) == ""
