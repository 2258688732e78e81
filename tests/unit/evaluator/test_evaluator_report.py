"""Sets, the report document, and what the message carries."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from services.evaluator.domain.answers import NO_CLASS, read_answers
from services.evaluator.domain.gate import Limits, rules_for
from services.evaluator.domain.report import document, evaluate, set_scores
from services.evaluator.domain.sets import positions_by_set, set_name, truth_of


def row(side: str, benchmark: str | None = None, class_index: int = 0) -> dict[str, Any]:
    return {"side": side, "benchmark": benchmark, "class_index": class_index}


def test_each_side_is_a_set_and_each_benchmark_its_own() -> None:
    rows = [row("train"), row("benchmark", "difficult"), row("test"), row("benchmark", "difficult")]
    names = [set_name(one) for one in rows]
    assert positions_by_set(names) == {"train": [0], "validation": [], "test": [2], "difficult": [1, 3]}


def test_a_benchmark_called_like_a_side_does_not_mix_with_it() -> None:
    names = [set_name(row("test")), set_name(row("benchmark", "test")), set_name(row("benchmark"))]
    assert names == ["test", "benchmark test", "benchmark"]


@pytest.mark.parametrize("spelling", ["out-of-scope", " Out of  scope", "OUT_OF_SCOPE"])
def test_out_of_scope_means_out_whatever_the_label_and_the_spelling_say(spelling: str) -> None:
    assert set_name(row("benchmark", spelling)) == "out-of-scope"
    assert truth_of(row("benchmark", spelling, class_index=3)) == NO_CLASS
    assert truth_of(row("benchmark", "difficult", class_index=3)) == 3


def test_the_report_is_plain_json_with_hostile_names_kept_as_they_are() -> None:
    classes = ["okapi", '</script><b>"x', "flamingo/juvenile"]
    scores = np.array([[0.97, 0.02, 0.01], [0.5, 0.3, 0.2], [0.1, 0.1, 0.8]], np.float32)
    truth = np.array([0, 1, NO_CLASS])
    sets = {"train": [], "validation": [], "test": [0, 1], "out-of-scope": [2]}
    evaluation = evaluate(read_answers(scores, truth), sets, 95.0, rules_for(Limits()))
    told = json.loads(json.dumps(document(evaluation, classes), allow_nan=False))
    assert [one["name"] for one in told["sets"]] == ["train", "validation", "test", "out-of-scope"]
    test = told["sets"][2]
    assert test["accuracy"] == 0.5
    assert test["most_confused"] == [
        {"truth": classes[1], "predicted": "okapi", "images": 1, "share_of_truth": 1.0}
    ]
    assert test["worst_labels"][0]["label"] == classes[1]
    assert test["confusion"] == [[0, 0, 1], [1, 0, 1]]
    assert told["gate"]["verdict"] == "go"
    assert told["sets"][3]["accuracy"] is None
    assert told["sets"][3]["errors"] == 1


def test_the_message_carries_shares_over_all_images_of_the_set() -> None:
    scores = np.array([[0.97, 0.03], [0.97, 0.03], [0.6, 0.4], [0.6, 0.4]])
    evaluation = evaluate(
        read_answers(scores, np.array([0, NO_CLASS, 0, 1])), {"test": [0, 1, 2, 3]}, 95.0, rules_for(Limits())
    )
    (score,) = set_scores(evaluation)
    assert score.images == 4
    assert score.true_positives_above == 0.25
    assert score.false_positives_above == 0.25
    assert (score.above_threshold, score.below_threshold) == (2, 2)
    assert score.accuracy == pytest.approx(2 / 3)
