"""The report of a search: a function of its trials, harmless to open, and its best request runs as it is."""

from __future__ import annotations

import json
import re

import pytest

from contracts.commands import RequestTraining
from services.trainer.search.charts import charts_of
from services.trainer.search.page import page_of
from services.trainer.search.report import ReportSpec, best_request, completed, document_of, to_json
from tests.support.searching import AT, HELD, REPORTED_SPACE, hostile_report


@pytest.fixture(scope="module")
def page() -> str:
    document = document_of(hostile_report())
    return page_of(document, charts_of(hostile_report(), document["importance"]))


def test_the_same_trials_give_the_same_bytes(page: str) -> None:
    document = document_of(hostile_report())
    assert to_json(document) == to_json(document_of(hostile_report()))
    assert page_of(document, charts_of(hostile_report(), document["importance"])) == page


def test_the_document_names_every_trial_the_best_and_what_mattered() -> None:
    document = json.loads(to_json(document_of(hostile_report())))
    assert document["counts"] == {"complete": 8, "pruned": 1, "failed": 1, "cancelled": 0}
    assert document["best"]["number"] == 2
    assert document["best"]["chosen"]["learning_rate"] == 0.003
    assert len(document["trials"]) == 10
    assert set(document["importance"]) == set(REPORTED_SPACE)


def test_the_best_request_is_ready_to_run() -> None:
    fields = best_request(hostile_report())
    assert fields is not None
    request = RequestTraining.model_validate(
        {**fields, "snapshot_id": "snap", "run_id": "run-0001", "by": "ann", "requested_at": AT}
    )
    assert (request.base, request.options.learning_rate, request.options.epochs) == ("007", 0.003, 6)
    assert not request.trial


def test_what_is_told_agrees_with_the_report() -> None:
    told = completed(hostile_report(), HELD, HELD, AT)
    assert (told.trials, told.pruned, told.failed) == (10, 1, 1)
    assert told.best_run_id == "search-0001-t002"
    assert told.best_options is not None
    assert told.best_options.learning_rate == 0.003


def test_the_page_is_self_contained_and_escapes_what_people_named(page: str) -> None:
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in page
    assert not re.search(r"""(src|href)=["'](?!data:)""", page)
    assert page.count("data:image/svg+xml") == 4
    assert page.count("<tr") == 11
    assert '<tr class="best">' in page


def test_a_search_of_which_no_trial_came_to_its_end_is_reported_too() -> None:
    for trials in ((), hostile_report().trials[-1:]):
        empty = ReportSpec(request=hostile_report().request, base="scratch", trials=trials)
        document = document_of(empty)
        assert (document["best"], document["importance"]) == (None, None)
        assert "No trial came to its end" in page_of(document, charts_of(empty, None))
        assert best_request(empty) is None
        assert completed(empty, HELD, HELD, AT).best_options is None
