"""Sets, the report document, and what the message carries."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from services.evaluator.domain.answers import NO_CLASS, read_answers
from services.evaluator.domain.gate import Limits, rules_for
from services.evaluator.domain.metrics.losses import PairWeights, weighted_losses
from services.evaluator.domain.report import Beside, document, evaluate, set_scores, targets_of
from services.evaluator.domain.sets import positions_by_set, set_name, truth_of
from services.evaluator.domain.sweep import Target


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


def test_the_report_has_every_figure_of_every_set_once_there_is_something_to_measure_it_with() -> None:
    classes = ["african elephant", "asian elephant", "zebra"]
    scores = np.array([[0.97, 0.02, 0.01], [0.2, 0.7, 0.1], [0.1, 0.1, 0.8], [0.98, 0.01, 0.01]], np.float16)
    truth = np.array([0, 0, 2, NO_CLASS])
    answers = read_answers(scores, truth)
    beside = Beside(
        scores=scores,
        weighted=weighted_losses(scores, answers, PairWeights({(0, 1): 0.5}, 3)),
        sources=["real", "staged", "real", None],
        flags=[["blurry"], [], [], ["blurry"]],
        classes=classes,
    )
    sets = {"test": [0, 1, 2], "out-of-scope": [3], "difficult": []}
    evaluation = evaluate(answers, sets, 95.0, rules_for(Limits()), beside)
    told = json.loads(json.dumps(document(evaluation, classes), allow_nan=False))
    test, out_of_scope, difficult = told["sets"]
    assert test["weighted_log_loss"] < test["log_loss"]
    assert test["roc_auc_macro"] == 1.0
    assert test["per_class"][0]["average_precision"] == 1.0
    assert [line["k"] for line in test["top_k"]] == [1, 3, 5, 10]
    assert test["accuracy_interval"] == pytest.approx([0.2077, 0.9385], abs=1e-4)
    assert test["worst_predicted"][0] | {"precision_interval": None} == {
        "label": "asian elephant", "predicted": 1, "wrong": 1, "precision": 0.0, "precision_interval": None,
    }  # fmt: skip
    assert [(part["name"], part["images"]) for part in test["per_source"]] == [("real", 2), ("staged", 1)]
    assert [(part["name"], part["images"]) for part in test["per_flag"]] == [("blurry", 1), ("none", 2)]
    assert sum(point["images"] for point in test["reliability"]) == 3
    assert test["sweep"][0]["above"] == 3
    assert out_of_scope["per_class_threshold"][0]["label"] is None
    assert out_of_scope["per_flag"][0]["accuracy"] is None
    assert out_of_scope["roc_auc_macro"] is None
    assert difficult["sweep"][0]["true_positives_above"] is None
    # The one popcorn scores 98: at most 10 % of it may pass, so the threshold must be higher.
    assert told["threshold_for_targets"]["value"] == 100.0
    assert told["threshold_for_targets"]["sets"]["out-of-scope"]["above"] == 0


def test_the_gates_own_rules_are_the_targets_of_the_threshold() -> None:
    assert targets_of(rules_for(Limits())) == (
        Target("difficult", true_positives_min_percent=80.0),
        Target("difficult", false_positives_max_percent=5.0),
        Target("out-of-scope", false_positives_max_percent=10.0),
        Target("least-common", true_positives_min_percent=100.0),
    )
