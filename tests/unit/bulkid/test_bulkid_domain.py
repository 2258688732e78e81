"""Which images, which run, which pages, which candidates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import BulkIdentified
from services.bulkid.domain.candidates import ScoresRefused, best
from services.bulkid.domain.runs import PAGE_RESULTS, page_results, run_id_for
from services.bulkid.domain.selection import unlabelled

MAX_PAYLOAD_BYTES = 2**20


def row(
    image_id: str, label: str | None = None, benchmark: str | None = None, near: str | None = None
) -> dict[str, Any]:
    return {"image_id": image_id, "label": label, "benchmark": benchmark, "near_duplicate_of": near}


def test_the_unlabelled_are_chosen_with_near_duplicates_and_without_benchmarks_and_unknowns() -> None:
    rows = [
        row("a"),
        row("b", label="okapi"),
        row("c", benchmark="difficult"),
        row("d", near="a"),
        row("e", label="Unknown Bird"),
    ]
    assert [one["image_id"] for one in unlabelled(rows)] == ["a", "d"]


def test_the_same_cause_is_the_same_run_and_another_cause_another() -> None:
    assert run_id_for("002", "request-1") == run_id_for("002", "request-1")
    assert len({run_id_for("002", "r-1"), run_id_for("003", "r-1"), run_id_for("002", "r-2")}) == 3


def test_usual_labels_fill_pages_of_500() -> None:
    assert page_results([f"animal number {n}" for n in range(1500)]) == PAGE_RESULTS


@pytest.mark.parametrize("letter", ["a", '"', "\N{ELEPHANT}", "\x01", "ü"])
@pytest.mark.parametrize("length", [1, 200])
@pytest.mark.parametrize("classes", [1, 2, 50])
def test_a_page_always_fits_into_a_message(letter: str, length: int, classes: int) -> None:
    label = letter * length
    size = page_results([label] * classes)
    top = [{"label": label, "confidence": 33.333}] * min(3, classes)
    page = BulkIdentified.model_validate(
        {
            "run_id": "bulk-999999999-" + "0" * 20,
            "page": 999_999,
            "model_version": "999999999",
            "results": [{"image_id": "0" * 64, "top": top}] * size,
            "identified_at": "2026-11-21T00:00:00Z",
        }
    )
    assert size >= 1
    assert len(page.model_dump_json().encode()) < MAX_PAYLOAD_BYTES - 64 * 1024


rows_of_weights = st.integers(1, 6).flatmap(
    lambda classes: st.lists(
        st.lists(st.integers(1, 4), min_size=classes, max_size=classes), min_size=1, max_size=20
    )
)


@given(rows_of_weights, st.integers(1, 4))
def test_candidates_come_best_first_and_the_lower_class_first_among_equals(
    weights: list[list[int]], count: int
) -> None:
    scores = np.array(weights, np.float64)
    scores /= scores.sum(axis=1, keepdims=True)
    indices, confidence = best(scores, count)
    for row_of, chosen, told in zip(scores, indices, confidence, strict=True):
        expected = sorted(range(len(row_of)), key=lambda index: (-row_of[index], index))[:count]
        assert chosen.tolist() == expected
        assert told == pytest.approx(100 * row_of[expected], abs=5.1e-4)
        assert all(0 <= value <= 100 for value in told)


@pytest.mark.parametrize("scores", [[[np.nan, 1.0]], [[0.9, 0.9]], [[-0.5, 1.5]], [[np.inf, 0.0]]])
def test_scores_that_are_no_probabilities_are_refused(scores: list[list[float]]) -> None:
    with pytest.raises(ScoresRefused, match="must end in softmax"):
        best(np.array(scores), 3)
