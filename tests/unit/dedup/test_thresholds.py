"""What people's verdicts teach."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.dedup.domain.thresholds import Detector, Threshold, Verdict, applying, learn, wilson

VECTORS = Detector("vectors", review=0.8, rising=True)
HASHES = Detector("hash", review=80, rising=False)
ENOUGH_FOR_AUTOMATIC, ENOUGH_FOR_REVIEW = 381, 189


def verdict(number: int, score: float, duplicate: bool, class_name: str | None = None) -> Verdict:
    """Of two images that are in no other pair."""
    return Verdict(f"{number:06}a", f"{number:06}b", class_name, score, duplicate)


def duplicates(
    count: int, score: float = 0.95, class_name: str | None = None, first: int = 0
) -> list[Verdict]:
    return [verdict(first + n, score, True, class_name) for n in range(count)]


def others(count: int, score: float, class_name: str | None = None, first: int = 500_000) -> list[Verdict]:
    return [verdict(first + n, score, False, class_name) for n in range(count)]


def mixtures(size: int = 60) -> st.SearchStrategy[list[Verdict]]:
    """Verdicts on a few images, so that clusters and contradictions arise."""
    names = st.integers(0, 12).map("{:02}".format)
    pairs = st.tuples(names, names).filter(lambda pair: pair[0] < pair[1])
    scores = st.integers(60, 100).map(lambda hundredths: hundredths / 100)
    rows = st.tuples(pairs, st.sampled_from(["fox", "deer", None]), scores, st.booleans())
    return st.lists(rows, max_size=size, unique_by=lambda row: row[0]).map(
        lambda drawn: [Verdict(*pair, name, score, same) for pair, name, score, same in drawn]
    )


def repeated(pattern: Iterable[tuple[float, bool]], times: int) -> list[Verdict]:
    rows = [row for row in pattern for _ in range(times)]
    return [verdict(n, score, same) for n, (score, same) in enumerate(rows)]


patterns = st.lists(st.tuples(st.integers(80, 100).map(lambda n: n / 100), st.booleans()), max_size=6)
"""Repeated often enough, a pattern teaches something."""


def test_nothing_is_automatic_before_anybody_spoke() -> None:
    (start,) = learn(VECTORS, [])
    assert (start.automatic, start.review, start.precision, start.recall) == (None, 0.8, None, None)
    assert (start.duplicates, start.not_duplicates, start.learnt) == (0, 0, False)


@pytest.mark.parametrize(("agreeing", "automatic"), [(380, None), (381, 0.95)])
def test_automatic_needs_381_verdicts_that_all_agree(agreeing: int, automatic: float | None) -> None:
    assert learn(VECTORS, duplicates(agreeing))[0].automatic == automatic


@pytest.mark.parametrize(("confirmed", "review"), [(188, 0.8), (189, 0.95)])
def test_review_is_tightened_after_189_confirmed_duplicates(confirmed: int, review: float) -> None:
    assert learn(VECTORS, duplicates(confirmed))[0].review == review


def test_review_is_never_looser_than_the_default() -> None:
    assert learn(VECTORS, duplicates(ENOUGH_FOR_REVIEW, score=0.7))[0].review == 0.8


def test_the_loosest_score_that_is_sure_enough_becomes_automatic() -> None:
    close, loose = duplicates(400, 0.95), duplicates(400, 0.92, first=1000)
    wrong = others(50, 0.9)
    assert learn(VECTORS, close + loose + wrong)[0].automatic == 0.92


def test_one_wrong_pair_among_the_closest_asks_for_more_right_ones() -> None:
    wrong = others(1, 0.99)
    assert learn(VECTORS, duplicates(ENOUGH_FOR_AUTOMATIC) + wrong)[0].automatic is None
    assert learn(VECTORS, duplicates(600) + wrong)[0].automatic == 0.95


def test_distances_are_learnt_downwards() -> None:
    right, wrong = duplicates(400, 40.0), others(400, 60.0)
    learnt = learn(HASHES, right + wrong)[0]
    assert (learnt.automatic, learnt.review) == (40.0, 40.0)


def test_a_cluster_of_copies_counts_once() -> None:
    copies = [f"{n:03}" for n in range(30)]
    pairs = [Verdict(a, b, None, 0.95, True) for a in copies for b in copies if a < b]  # 435 of them
    learnt = learn(VECTORS, pairs)[0]
    assert (learnt.duplicates, learnt.automatic, learnt.review) == (1, None, 0.8)


def test_two_clusters_that_differ_are_one_piece_of_evidence() -> None:
    first, second = ["a1", "a2", "a3"], ["b1", "b2", "b3"]
    same = [Verdict(p, q, None, 0.95, True) for side in (first, second) for p, q in itertools.pairwise(side)]
    differ = [Verdict(p, q, None, 0.9, False) for p in first for q in second]
    learnt = learn(VECTORS, same + differ)[0]
    assert (learnt.duplicates, learnt.not_duplicates) == (2, 1)


def test_a_class_with_enough_verdicts_has_its_own_threshold() -> None:
    foxes = duplicates(400, 0.9, "fox")
    deer = duplicates(400, 0.98, "deer", first=1000) + others(400, 0.95, "deer")
    every, of_deer, of_foxes = learn(VECTORS, foxes + deer)
    assert (of_foxes.class_name, of_foxes.automatic, of_foxes.learnt) == ("fox", 0.9, True)
    assert (of_deer.class_name, of_deer.automatic, of_deer.learnt) == ("deer", 0.98, True)
    assert (every.class_name, every.automatic) == (None, 0.98)


def test_a_class_with_few_verdicts_has_that_of_all() -> None:
    every, few = learn(VECTORS, duplicates(400, 0.95) + duplicates(3, 0.97, "fox", first=1000))
    assert (few.automatic, few.review, few.learnt) == (every.automatic, every.review, False)


def test_a_class_whose_own_verdicts_speak_against_it_has_none() -> None:
    every, drawings = learn(VECTORS, duplicates(2000, 0.95) + others(3, 0.97, "drawing"))
    assert every.automatic == 0.95
    assert drawings.automatic is None


def test_enough_verdicts_are_measured_out_of_sample() -> None:
    learnt = learn(VECTORS, duplicates(1000, 0.95) + others(300, 0.85))[0]
    assert learnt.out_of_sample
    assert (learnt.precision, learnt.recall) == (1.0, 1.0)
    assert not learn(VECTORS, duplicates(ENOUGH_FOR_AUTOMATIC))[0].out_of_sample


def test_a_pair_is_judged_by_its_class_and_else_by_all_classes() -> None:
    learnt = learn(VECTORS, duplicates(400, 0.9, "fox") + duplicates(400, 0.95))
    assert applying(learnt, "fox").class_name == "fox"
    assert applying(learnt, "deer").class_name is None
    assert applying(learnt, None).class_name is None


@given(mixtures().flatmap(lambda rows: st.tuples(st.just(rows), st.permutations(rows))))
def test_the_order_of_verdicts_changes_nothing(both: tuple[list[Verdict], list[Verdict]]) -> None:
    assert learn(VECTORS, both[0]) == learn(VECTORS, both[1])


@settings(max_examples=40)
@given(patterns, st.sampled_from([40, 400]))
def test_stated_precision_and_recall_are_those_of_a_count(
    pattern: list[tuple[float, bool]], times: int
) -> None:
    rows = repeated(pattern, times)
    learnt = learn(VECTORS, rows)[0]
    if learnt.out_of_sample:
        return
    assert learnt.duplicates == sum(row.duplicate for row in rows)
    assert learnt.not_duplicates == sum(not row.duplicate for row in rows)
    kept = [row for row in rows if row.duplicate and row.score >= learnt.review]
    assert learnt.recall == (pytest.approx(len(kept) / learnt.duplicates) if learnt.duplicates else None)
    if learnt.automatic is not None:
        seen = [row.duplicate for row in rows if row.score >= learnt.automatic]
        assert learnt.precision == pytest.approx(sum(seen) / len(seen))


@settings(max_examples=40)
@given(patterns)
def test_what_is_automatic_is_sure_and_what_is_reviewed_keeps_the_duplicates(
    pattern: list[tuple[float, bool]],
) -> None:
    rows = repeated(pattern, 130)
    learnt = learn(VECTORS, rows)[0]
    assert learnt.review >= VECTORS.review
    if learnt.automatic is not None:
        seen = [row.duplicate for row in rows if row.score >= learnt.automatic]
        assert wilson(sum(seen), len(seen))[0] >= 0.99
        assert learnt.automatic >= learnt.review
    if learnt.recall is not None and learnt.learnt:
        assert sum(r.duplicate and r.score >= learnt.review for r in rows) >= 0.98 * learnt.duplicates


@settings(max_examples=40)
@given(patterns, st.floats(0.8, 1.0), st.integers(1, 100))
def test_a_no_never_loosens_and_a_yes_never_tightens_what_is_automatic(
    pattern: list[tuple[float, bool]], score: float, count: int
) -> None:
    rows = repeated(pattern, 130)
    before = automatic(rows)
    assert automatic(rows + others(count, score)) >= before
    assert automatic(rows + duplicates(count, score, first=900_000)) <= before


@settings(max_examples=40)
@given(patterns)
def test_falling_scores_teach_what_rising_ones_do(pattern: list[tuple[float, bool]]) -> None:
    rows = repeated(pattern, 130)
    rising = learn(VECTORS, rows)[0]
    falling = learn(
        Detector("distance", -0.8, rising=False), [dataclasses.replace(r, score=-r.score) for r in rows]
    )[0]
    assert falling.review == -rising.review
    assert falling.automatic == (None if rising.automatic is None else -rising.automatic)
    assert (falling.precision, falling.recall) == (rising.precision, rising.recall)


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_bounds_enclose_the_share(counted: tuple[int, int]) -> None:
    lower, upper = wilson(*counted)
    assert 0 <= lower <= counted[0] / counted[1] <= upper <= 1


def automatic(rows: list[Verdict]) -> float:
    learnt: Threshold = learn(VECTORS, rows)[0]
    return 2.0 if learnt.automatic is None else learnt.automatic
