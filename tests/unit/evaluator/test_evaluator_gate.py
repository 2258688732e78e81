"""The threshold report and the gate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import Gate
from contracts.values import GateVerdict
from services.evaluator.domain.answers import NO_CLASS, read_answers
from services.evaluator.domain.gate import Limits, Rule, decide, rules_for
from services.evaluator.domain.threshold import ThresholdReport, report_threshold


def report(images: int, true_above: int = 0, false_above: int = 0, errors: int = 0) -> ThresholdReport:
    above = true_above + false_above
    return ThresholdReport(
        95.0, images, errors, true_above, false_above, above, images - above, 1.0, 99.0, 50.0, 50.0
    )


def gate(limits: Limits | None = None, **sets: ThresholdReport) -> Gate:
    named = {name.replace("_", "-"): value for name, value in sets.items()}
    return decide({"test": report(100), **named}, rules_for(limits or Limits()))


def outcome(decision: Gate, rule: str) -> bool | None:
    return {told.rule: told.passed for told in decision.rules}[rule]


def test_the_report_counts_right_and_wrong_answers_at_the_threshold_or_over() -> None:
    scores = np.array([[0.95, 0.05], [0.94, 0.06], [0.04, 0.96], [0.99, 0.01]])
    told = report_threshold(read_answers(scores, np.array([0, 0, 0, NO_CLASS])), 95.0)
    assert (told.true_positives_above, told.false_positives_above) == (1, 2)
    assert (told.above, told.below, told.errors) == (3, 1, 2)
    assert told.confidence_min == pytest.approx(94.0)
    assert told.confidence_max == pytest.approx(99.0)
    assert told.confidence_median == pytest.approx(95.5)


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(-1, 1)), min_size=1), st.floats(0, 100))
def test_counts_add_up_whatever_the_threshold(images: list[tuple[int, int]], threshold: float) -> None:
    first = np.array([percent / 100 for percent, _ in images])
    told = report_threshold(
        read_answers(np.stack([first, 1 - first], axis=1), np.array([truth for _, truth in images])),
        threshold,
    )
    assert told.above + told.below == told.images == len(images)
    assert told.true_positives_above + told.false_positives_above == told.above
    assert told.false_positives_above <= told.errors
    assert told.confidence_min is not None
    assert told.confidence_max is not None
    assert told.confidence_mean is not None
    assert told.confidence_min <= told.confidence_mean <= told.confidence_max


def test_an_empty_set_reports_nothing_to_measure() -> None:
    told = report_threshold(read_answers(np.empty((0, 2)), np.empty(0, np.int64)), 95.0)
    assert told.share(told.true_positives_above) is None
    assert told.confidence_mean is None


def test_without_benchmarks_there_is_nothing_to_measure_and_the_gate_says_go() -> None:
    decision = gate()
    assert decision.verdict is GateVerdict.GO
    assert [told.passed for told in decision.rules] == [True, None, None, None, None, None, None]
    assert decision.rules[1].sentence == (
        'There is no benchmark set "difficult" with images, so there is nothing to measure.'
    )
    assert decision.rules[-1].sentence == (
        "No model is in production yet, so there is nothing that this one could be worse than."
    )


@pytest.mark.parametrize(("true_above", "passed"), [(79, False), (80, True), (81, True)])
def test_difficult_needs_four_of_five_true_positives(true_above: int, passed: bool) -> None:
    decision = gate(difficult=report(100, true_above=true_above))
    assert outcome(decision, "difficult-true-positives") is passed
    assert (decision.verdict is GateVerdict.GO) is passed


@pytest.mark.parametrize(("false_above", "passed"), [(5, True), (6, False)])
def test_difficult_allows_one_in_twenty_false_positives(false_above: int, passed: bool) -> None:
    decision = gate(difficult=report(100, true_above=90, false_above=false_above))
    assert outcome(decision, "difficult-false-positives") is passed


@pytest.mark.parametrize(("false_above", "passed"), [(0, True), (10, True), (11, False)])
def test_out_of_scope_allows_one_in_ten_false_positives_and_asks_for_no_true_ones(
    false_above: int, passed: bool
) -> None:
    decision = gate(out_of_scope=report(100, false_above=false_above, errors=100))
    assert outcome(decision, "out-of-scope-false-positives") is passed
    assert (decision.verdict is GateVerdict.GO) is passed


@pytest.mark.parametrize(("errors", "passed"), [(0, True), (1, False)])
def test_most_common_allows_no_error_however_unsure(errors: int, passed: bool) -> None:
    assert outcome(gate(most_common=report(50, errors=errors)), "most-common-errors") is passed


@pytest.mark.parametrize(("true_above", "passed"), [(20, True), (19, False)])
def test_least_common_must_be_right_and_reach_the_threshold(true_above: int, passed: bool) -> None:
    decision = gate(least_common=report(20, true_above=true_above))
    assert outcome(decision, "least-common-true-positives") is passed


def test_an_empty_test_set_is_a_failure_with_a_remedy() -> None:
    for sets in ({"test": report(0)}, {}):
        decision = decide(sets, rules_for(Limits()))
        assert decision.verdict is GateVerdict.NO_GO
        assert "Collect more images" in decision.rules[0].sentence


def test_sentences_carry_the_numbers() -> None:
    decision = gate(difficult=report(50, true_above=41, false_above=3), most_common=report(12, errors=1))
    sentences = {told.rule: told.sentence for told in decision.rules}
    assert sentences["difficult-true-positives"] == (
        'Of the benchmark set "difficult", 41 of 50 images (82.0 %) were named correctly with a confidence '
        "of 95 or more; at least 80 % are needed."
    )
    assert sentences["difficult-false-positives"] == (
        'Of the benchmark set "difficult", 3 of 50 images (6.0 %) got a wrong name with a confidence of 95 or more; '
        "at most 5 % are allowed."
    )
    assert sentences["most-common-errors"] == (
        'Of the benchmark set "most-common", 1 of 12 images (8.3 %) got a wrong name; at most 0 are allowed.'
    )


def test_the_limits_are_settings() -> None:
    limits = replace(Limits(), difficult_true_positives_min_percent=50.0)
    assert outcome(gate(limits, difficult=report(100, true_above=50)), "difficult-true-positives") is True


@given(st.integers(1, 200), st.data())
def test_the_verdict_is_no_go_exactly_when_a_rule_failed(images: int, data: st.DataObject) -> None:
    true_above = data.draw(st.integers(0, images))
    false_above = data.draw(st.integers(0, images - true_above))
    decision = gate(difficult=report(images, true_above, false_above, errors=false_above))
    failed = any(told.passed is False for told in decision.rules)
    assert (decision.verdict is GateVerdict.NO_GO) is failed


@given(st.integers(0, 1000), st.integers(1, 2000), st.data())
def test_a_limit_is_the_number_as_it_is_written(tenths: int, images: int, data: st.DataObject) -> None:
    limit, count = tenths / 10, data.draw(st.integers(0, images))
    told = decide(
        {"night": report(images, true_above=count, false_above=images - count)},
        [
            Rule("right", "night", "true positives", "at least", limit),
            Rule("wrong", "night", "false positives", "at most", limit),
        ],
    )
    assert outcome(told, "right") is (1000 * count >= tenths * images)
    assert outcome(told, "wrong") is (1000 * (images - count) <= tenths * images)


@pytest.mark.parametrize("percent", [16.1, 32.2, 32.3, 32.7])
def test_a_share_that_is_exactly_the_limit_keeps_it_whatever_floating_point_makes_of_it(
    percent: float,
) -> None:
    right = round(percent * 10)
    of_night = {"night": report(1000, true_above=right, false_above=right)}
    for measure, bound in (("true positives", "at least"), ("false positives", "at most")):
        (told,) = decide(of_night, [Rule("exact", "night", measure, bound, percent)]).rules  # type: ignore[arg-type]
        assert told.passed, told.sentence


def test_a_share_that_misses_the_limit_is_not_rounded_to_it() -> None:
    decision = gate(difficult=report(2500, true_above=1999))
    assert "1999 of 2500 images (79.96 %) were named correctly" in decision.rules[1].sentence


def test_a_rule_of_the_users_own_names_its_set_and_how_to_fill_it() -> None:
    rules = [
        Rule("enough", "night", "images", "at least", 5),
        Rule("right", "test", "true positives", "at least", 50),
    ]
    enough, right = decide({"night": report(3), "test": report(4, true_above=1)}, rules).rules
    assert enough.sentence.startswith("The night set has 3 images and needs 5")
    assert '`menagerie benchmark add "night" IMAGE...`' in enough.sentence
    assert right.sentence.startswith('Of the set "test", 1 of 4 images')
