"""The report's figures beside a second computation of them that shares no code, and as tidy rows."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from services.evaluator.domain.figure_rows import figure_rows
from tests.support.report_check import differences
from tests.support.report_documents import document_of, filed_of_random

CLASSES = ("african elephant", "asian elephant", "okapi", "zebra")
PAIRS = {
    ("african elephant", "asian elephant"): 0.5,
    ("okapi", "zebra"): 0.25,
    ("asian elephant", "zebra"): 0.8,
}


def test_every_figure_of_the_report_is_what_plain_code_and_scikit_learn_compute() -> None:
    assert differences(filed_of_random(400, CLASSES, PAIRS)) == []


@pytest.mark.parametrize(
    "path", [
        ("accuracy",), ("weighted_log_loss",), ("roc_auc_macro",), ("calibration_error",),
        ("per_flag", 0, "correct"), ("per_source", 1, "mean_confidence"), ("sweep", 3, "true_positives_above"),
        ("confusion", 0, 2), ("per_class", 1, "recall"),
    ],
)  # fmt: skip
def test_a_figure_that_is_wrong_is_told(path: tuple[Any, ...]) -> None:
    filed = filed_of_random(200, CLASSES, PAIRS)
    report = copy.deepcopy(filed.report)
    place: Any = next(one for one in report["sets"] if one["name"] == "test")
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] += 1e-6
    (told,) = differences(replace(filed, report=report))
    assert told.startswith(f"set test, {path[0]}")


def test_the_tidy_rows_have_every_class_with_the_images_each_figure_is_of() -> None:
    document = document_of(300, CLASSES)
    rows = list(figure_rows(document))
    test = next(one for one in document["sets"] if one["name"] == "test")
    line = test["per_class"][0]
    mine = {row.figure: row for row in rows if (row.set, row.class_name) == ("test", line["label"])}
    assert mine["recall"].images == line["images"]
    assert mine["precision"].images == line["predicted"]
    assert mine["f1"].images == line["images"] + line["predicted"] - line["correct"]
    assert [mine["recall"].low, mine["recall"].high] == line["recall_interval"]
    keys = [(row.set, row.class_name, row.source, row.flag, row.figure) for row in rows]
    assert len(keys) == len(set(keys))
    assert {row.flag for row in rows} == {None, "blurry", "dark", "none"}
    assert {row.source for row in rows} == {None, "real", "staged"}
    assert list(figure_rows(document_of(0, CLASSES))) == []
