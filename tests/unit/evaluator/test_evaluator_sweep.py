"""The threshold that meets the targets, the report per class, and the benchmark table."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import SetScore
from services.evaluator.domain.answers import NO_CLASS, Answers, read_answers
from services.evaluator.domain.benchmarks import benchmark_table, column_of, table_document
from services.evaluator.domain.sweep import Target, find_threshold, table
from services.evaluator.domain.threshold import report_classes, report_threshold


def answered(*images: tuple[float, bool]) -> Answers:
    """Confidences with whether they are right, exactly."""
    confidence = np.array([percent for percent, _ in images], np.float64)
    truth = np.array([0 if right else 1 for _, right in images], np.int64)
    zeros = np.zeros(len(images), np.int64)
    return Answers(truth, zeros, confidence, confidence / 100, zeros)


DIFFICULT = answered((99, True), (98, True), (97.2, True), (96, False), (93.47, True), (92, False))


def test_the_chosen_value_is_the_lowest_that_lets_too_few_wrong_answers_through_in_few_digits() -> None:
    found = find_threshold({"difficult": DIFFICULT}, [Target("difficult", 60, 20)])
    # 20 % of 6 is 1 wrong answer: 96 may pass and 92 may not. 60 % are 4 right ones: 93.47 must pass.
    assert (found.above, found.highest, found.value) == (92.0, 93.47, 93.0)
    assert found.at["difficult"].true_positives_above == 4
    assert found.at["difficult"].false_positives_above == 1


def test_without_a_value_that_meets_both_targets_the_lowest_safe_one_is_shown() -> None:
    found = find_threshold({"difficult": DIFFICULT}, [Target("difficult", 60, 10)])
    assert (found.above, found.highest, found.value) == (96.0, 93.47, None)
    assert found.at["difficult"].threshold_percent == 97.2
    assert found.at["difficult"].true_positives_above == 3


def test_too_few_right_answers_are_no_matter_of_the_threshold() -> None:
    found = find_threshold({"difficult": DIFFICULT}, [Target("difficult", 80)])
    assert (found.highest, found.value) == (None, None)


def test_a_wrong_answer_of_100_that_may_not_pass_leaves_no_threshold() -> None:
    found = find_threshold({"a": answered((100, False), (100, True))}, [Target("a", 0, 0)])
    assert (found.above, found.value) == (100.0, None)


def test_sets_are_met_together_even_between_their_own_confidences() -> None:
    difficult = answered((97, True), (93, False))
    out_of_scope = answered((95, True), (90, False))
    found = find_threshold(
        {"difficult": difficult, "out-of-scope": out_of_scope, "empty": answered()},
        [Target("difficult", 0, 0), Target("out-of-scope", 50, 0), Target("empty", 90), Target("gone", 90)],
    )
    assert (found.above, found.highest, found.value) == (93.0, 95.0, 95.0)
    assert list(found.at) == ["difficult", "out-of-scope"]


def test_no_targets_let_everything_through() -> None:
    assert find_threshold({"a": DIFFICULT}, []).value == 0.0


some_answers = st.lists(
    st.tuples(st.sampled_from([0.0, 50.0, 93.4721, 93.4722, 95.0, 99.99, 100.0]) | st.floats(0, 100), st.booleans()),
    min_size=1,
    max_size=25,
)  # fmt: skip


@given(some_answers, some_answers, st.integers(0, 100), st.integers(0, 100), st.floats(0, 100))
def test_the_value_is_right_whatever_threshold_one_tries(
    one: list[tuple[float, bool]], other: list[tuple[float, bool]], least: int, most: int, tried: float
) -> None:
    sets = {"one": answered(*one), "other": answered(*other)}
    targets = [Target("one", least, most), Target("other", 0, most)]
    found = find_threshold(sets, targets)

    def meets(threshold: float) -> bool:
        reports = {name: report_threshold(some, threshold) for name, some in sets.items()}
        return all(
            100 * reports[t.set_name].true_positives_above
            >= t.true_positives_min_percent * reports[t.set_name].images
            and 100 * reports[t.set_name].false_positives_above
            <= t.false_positives_max_percent * reports[t.set_name].images
            for t in targets
        )

    every = [0.0, 100.0, tried, *(percent for percent, _ in one + other)]
    assert (found.value is not None) == any(meets(threshold) for threshold in every)
    if found.value is None:
        return
    assert meets(found.value)
    # Nothing that is lower lets more answers through and still meets the targets.
    through = sum(report.above for report in found.at.values())
    for threshold in every:
        if threshold < found.value and meets(threshold):
            assert sum(report_threshold(some, threshold).above for some in sets.values()) == through


def test_the_table_of_a_sweep_falls_with_the_threshold() -> None:
    lines = table(DIFFICULT, (0, 93, 95, 97, 100))
    assert [line.above for line in lines] == [6, 5, 4, 3, 0]
    assert [line.false_positives_above for line in lines] == [2, 1, 1, 0, 0]


def test_each_class_is_counted_where_the_image_is_from_and_where_the_guest_is_sent() -> None:
    scores = np.array([[0.97, 0.03, 0], [0.9, 0.1, 0], [0.02, 0.98, 0], [0.04, 0.96, 0], [0.99, 0.01, 0]])
    lines = report_classes(read_answers(scores, np.array([0, 0, 0, 1, NO_CLASS])), 95.0)
    told = [
        (x.index, x.images, x.true_positives_above, x.false_positives_above, x.below, x.wrongly_named_above)
        for x in lines
    ]
    assert told == [(NO_CLASS, 1, 0, 1, 0, 0), (0, 3, 1, 1, 1, 1), (1, 1, 1, 0, 0, 1)]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 3), st.integers(26, 100)), max_size=30))
def test_the_classes_add_up_to_the_sets_report(images: list[tuple[int, int, int]]) -> None:
    scores = np.zeros((len(images), 4))
    for row, (named, _, percent) in enumerate(images):
        scores[row] = (1 - percent / 100) / 3
        scores[row, named] = percent / 100
    answers = read_answers(scores, np.array([truth for _, truth, _ in images], np.int64))
    whole, lines = report_threshold(answers, 90.0), report_classes(answers, 90.0)
    assert sum(line.images for line in lines) == whole.images
    assert sum(line.true_positives_above for line in lines) == whole.true_positives_above
    assert sum(line.false_positives_above for line in lines) == whole.false_positives_above
    assert sum(line.wrongly_named_above for line in lines) == whole.false_positives_above
    assert sum(line.below for line in lines) == whole.below


def test_the_benchmark_table_stands_beside_production_and_what_is_required() -> None:
    ours = {"difficult": column_of(report_threshold(DIFFICULT, 95.0))}
    theirs = column_of(
        SetScore(
            name="difficult", images=6, true_positives_above=0.6, false_positives_above=0.1,
            confidence_min=90, confidence_max=99, confidence_mean=95.0, confidence_median=95.5,
            above_threshold=4, below_threshold=2,
        )
    )  # fmt: skip
    rows = benchmark_table(ours, {"difficult": theirs}, {("difficult", "true_positives_above"): 0.8})
    told = {row.figure: row for row in rows}
    assert list(told) == [
        "min", "max", "median", "mean", "above", "below", "true_positives_above", "false_positives_above",
    ]  # fmt: skip
    assert (told["min"].model, told["min"].production, told["min"].difference) == (92.0, 90.0, 2.0)
    assert (told["above"].model, told["above"].difference, told["above"].better) == (4, 0, None)
    assert (told["true_positives_above"].required, told["true_positives_above"].better) == (0.8, False)
    assert told["false_positives_above"].better is False
    assert told["mean"].better is True
    assert json.loads(json.dumps(table_document(rows), allow_nan=False))[0]["set_name"] == "difficult"
    out = benchmark_table({"out-of-scope": ours["difficult"]}, {"out-of-scope": theirs})
    assert next(row for row in out if row.figure == "mean").better is False  # sure, and always wrong


def test_counts_of_sets_that_have_grown_are_not_compared() -> None:
    ours = {"difficult": column_of(report_threshold(DIFFICULT, 95.0))}
    smaller = column_of(report_threshold(answered((96, True)), 95.0))
    empty = column_of(report_threshold(answered(), 95.0))
    told = {row.figure: row for row in benchmark_table(ours, {"difficult": smaller})}
    assert (told["above"].production, told["above"].difference) == (1, None)
    assert told["mean"].difference == pytest.approx(95.945 - 96)
    for production in (None, {}, {"difficult": empty}):
        rows = benchmark_table(ours, production)
        assert {(row.production, row.difference, row.better) for row in rows} == {(None, None, None)}
