"""The gate beside the model in production, and what a failed rule says of its labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import Gate, GateRule
from contracts.values import GateVerdict
from services.evaluator.domain.answers import NO_CLASS, Answers, read_answers
from services.evaluator.domain.gate import Limits, Paired, decide, rules_for
from services.evaluator.domain.production import FEWEST_PAIRS, RESAMPLED_IMAGES, difference, lost_most
from services.evaluator.domain.threshold import report_threshold

CLASSES = ("okapi", "otter", "zebra")


def answers_of(truth: list[int], predicted: list[int], confidence: float = 0.98) -> Answers:
    scores = np.full((len(truth), 3), (1 - confidence) / 2)
    scores[np.arange(len(truth)), predicted] = confidence
    return read_answers(scores, np.array(truth))


def decided(sets: dict[str, Answers], paired: dict[str, Paired] | None = None, to_pair: str = "") -> Gate:
    reports = {name: report_threshold(answers, 95.0) for name, answers in sets.items()}
    return decide(reports, rules_for(Limits()), answers=sets, classes=CLASSES, paired=paired, to_pair=to_pair)


def told(decision: Gate, rule: str) -> GateRule:
    return next(one for one in decision.rules if one.rule == rule)


def losses(images: int, shift: float, seed: int = 1) -> Paired:
    """Both models find the same images hard; ours costs ``shift`` more on average."""
    draws = np.random.default_rng(seed)
    hard = draws.exponential(0.2, images)
    truth = np.arange(images) % 3
    luck = draws.normal(0.0, 0.1, images)
    return Paired("006", truth, hard + shift + luck - luck.mean(), hard)


def test_a_planted_regression_flips_the_gate_and_the_sentence_names_numbers_and_labels() -> None:
    good = answers_of([0, 1, 2] * 40, [0, 1, 2] * 40)
    theirs = np.full(120, 0.02)
    before = decided({"test": good}, {"test": Paired("006", good.truth, theirs, theirs)})
    assert before.verdict is GateVerdict.GO
    ours = np.where(np.arange(120) % 6 == 2, 3.0, 0.02)  # half of the zebras are lost
    after = decided({"test": good}, {"test": Paired("006", good.truth, ours, theirs)})
    assert after.verdict is GateVerdict.NO_GO
    rule = told(after, "not-worse-than-production")
    assert rule.passed is False
    assert rule.sentence == (
        'On the 120 images of the set "test" that both have scored, wrong and unsure answers cost this model '
        "0.517 an image and model 006 in production 0.020 (weighted log loss, less is better). The difference of "
        "+0.497 lies between +0.298 and +0.695 with 95 % confidence, so this model is worse; it may not be. "
        'It got worse most of all on "zebra" (40 images).'
    )


@pytest.mark.parametrize(
    ("shift", "passed", "word"),
    [(0.1, False, "is worse; it may not be"), (0.0, True, "not worse beyond"), (-0.1, True, "is better")],
)
@pytest.mark.parametrize("images", [200, RESAMPLED_IMAGES + 1])
def test_a_model_fails_only_when_it_is_worse_than_production_beyond_chance(
    images: int, shift: float, passed: bool, word: str
) -> None:
    sets = {"test": answers_of([0] * images, [0] * images)}
    rule = told(decided(sets, {"test": losses(images, shift)}), "not-worse-than-production")
    assert rule.passed is passed
    assert word in rule.sentence


@pytest.mark.parametrize("paired", [{}, {"test": losses(FEWEST_PAIRS - 1, 5.0)}])
@pytest.mark.parametrize(
    ("images", "remedy"),
    [
        (200, "Have the production model score them: `menagerie evaluate 006 --dataset-of 007`."),
        (29, "The set itself has 29: collect more images for it."),
    ],
)
def test_too_few_common_images_show_nothing_and_the_sentence_says_what_to_do(
    paired: dict[str, Paired], images: int, remedy: str
) -> None:
    decision = decided(
        {"test": answers_of([0] * images, [0] * images)}, paired, "`menagerie evaluate 006 --dataset-of 007`"
    )
    rule = told(decision, "not-worse-than-production")
    assert (decision.verdict, rule.passed) == (GateVerdict.GO, None)
    assert f"Only {len(paired.get('test', ()))} images" in rule.sentence
    assert rule.sentence.endswith(remedy)


def test_the_bootstrap_and_the_normal_interval_agree_where_they_meet() -> None:
    few, many = losses(RESAMPLED_IMAGES, 0.01), losses(RESAMPLED_IMAGES + 1, 0.01)
    one, other = difference(few, 95.0), difference(many, 95.0)
    assert one.low == pytest.approx(other.low, abs=5e-4)
    assert one.high == pytest.approx(other.high, abs=5e-4)
    assert difference(few, 95.0) == one


def test_the_interval_holds_the_true_difference_about_as_often_as_it_says() -> None:
    held = []
    for seed in range(60):
        gaps = np.random.default_rng(seed).normal(0.05, 0.1, 60)
        found = difference(Paired("006", np.zeros(60, np.int64), gaps, np.zeros(60)), 95.0)
        held.append(found.low <= 0.05 <= found.high)
    assert 51 <= sum(held) <= 60


@given(st.lists(st.floats(0, 30), min_size=2, max_size=40), st.floats(50, 99.9))
def test_the_mean_lies_in_its_interval_and_equal_models_differ_by_nothing(
    ours: list[float], confidence: float
) -> None:
    values = np.array(ours)
    truth = np.zeros(len(values), np.int64)
    found = difference(Paired("001", truth, values, values), confidence)
    assert (found.mean, found.low, found.high) == (0.0, 0.0, 0.0)
    apart = difference(Paired("001", truth, values, np.zeros(len(values))), confidence)
    assert apart.low <= apart.high
    assert values.min() - 1e-9 <= apart.low
    assert apart.high <= values.max() + 1e-9


def test_labels_that_became_worse_are_named_most_lost_first_and_better_ones_never() -> None:
    truth = np.array([0, 0, 1, 2, NO_CLASS])
    paired = Paired("001", truth, np.array([1.0, 1.0, 5.0, 0.0, 9.0]), np.array([0.0, 0.0, 1.0, 1.0, 0.0]))
    assert lost_most(paired, CLASSES, 3) == (("otter", 1), ("okapi", 2))


@pytest.mark.parametrize(
    ("ours", "theirs"), [([0.1], [0.1, 0.2]), ([float("nan")], [0.1]), ([0.1], [float("inf")])]
)
def test_losses_that_are_no_pairs_are_refused(ours: list[float], theirs: list[float]) -> None:
    with pytest.raises(ValueError, match=r"cannot be paired|NaN or infinite"):
        Paired("001", np.zeros(1, np.int64), np.array(ours), np.array(theirs))


def test_a_failed_rule_names_the_labels_behind_it_and_one_that_passed_does_not() -> None:
    difficult = answers_of([2] * 6 + [0] * 4, [1] * 4 + [2] * 2 + [0] * 4)
    common = answers_of([0, 0, 1], [0, 0, 1])
    scope = answers_of([NO_CLASS] * 5, [1, 1, 1, 0, 0])
    decision = decided({
        "test": common, "difficult": difficult, "most-common": common, "out-of-scope": scope,
    })  # fmt: skip
    assert told(decision, "difficult-true-positives").sentence.endswith(
        'at least 80 % are needed. Most are missing of "zebra" (4 of 6).'
    )
    assert told(decision, "difficult-false-positives").sentence.endswith(
        'at most 5 % are allowed. The wrong names were most often "otter" for "zebra" (4).'
    )
    assert told(decision, "out-of-scope-false-positives").sentence.endswith(
        'The wrong names were most often "otter" (3), "okapi" (2).'
    )
    assert told(decision, "most-common-errors").sentence.endswith("at most 0 are allowed.")


def test_an_unsure_right_answer_counts_as_missing_and_names_no_wrong_name() -> None:
    decision = decided({"test": answers_of([0], [0]), "difficult": answers_of([1] * 5, [1] * 5, 0.7)})
    assert told(decision, "difficult-true-positives").sentence.endswith(
        'Most are missing of "otter" (5 of 5).'
    )
    assert told(decision, "difficult-false-positives").passed is True
