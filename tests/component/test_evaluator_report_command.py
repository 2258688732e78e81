"""``menagerie report``: the page, the JSON and the table of a scoring, over the evaluator's HTTP side."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from contracts.events import Gate, GateRule, ModelRescored, ModelScored
from contracts.values import GateVerdict, ObjectRef
from services.evaluator import store
from services.evaluator.artefacts import Artefacts
from services.evaluator.domain.figure_rows import FigureRow
from services.evaluator.http import reports
from services.ops.cli import main
from tests.support.ingest_house import AT
from tests.support.review_desk import REF, ReviewDesk, later, review_desk

FAILED = GateRule(rule="difficult", passed=False, sentence="Of the set, 3 of 9 images got a wrong name.")
RULES = (
    GateRule(rule="fine", passed=True, sentence="The test set has 9 images."),
    GateRule(rule="none", passed=None, sentence="There is no such set."),
    FAILED,
)
PAGE = b"<!DOCTYPE html>\n<p>No-go"


@pytest.fixture
def desk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[ReviewDesk]:
    with review_desk(tmp_path, capsys, monkeypatch) as made:
        monkeypatch.chdir(tmp_path)
        yield made


def scored(
    desk: ReviewDesk, version: str, request_id: str, at: datetime = AT, *, files: bool = True, **change: Any
) -> None:
    """A scoring as the evaluator records it; without ``files`` as of before there were pages."""
    artefacts = Artefacts.of_evaluation(desk.house.store, version, request_id)
    gate = Gate(verdict=GateVerdict.NO_GO, rules=RULES)
    told: dict[str, Any] = {}
    if files:
        row = FigureRow("test", None, None, None, "accuracy", 0.75, 0.5, 0.9, 9)
        refs = {"page": artefacts.put_page(PAGE + version.encode()), "figures": artefacts.put_figures([row])}
        told = {name: ref.model_dump(mode="json") for name, ref in refs.items()}
    report = artefacts.put_report({"gate": gate.model_dump(mode="json"), **told})
    kind = ModelRescored if change else ModelScored
    message = kind.model_validate({
        "request_id": request_id, "model_version": version, "threshold": 95.0, "scored_at": at, "sets": [],
        "gate": gate, "report": report, "scores": REF, **told, **change,
    })  # fmt: skip
    assert asyncio.run(desk.house.database.run(lambda unit: store.record_scoring(unit, message)))


def test_the_newest_scoring_of_a_models_own_is_saved_with_its_verdict(
    desk: ReviewDesk, tmp_path: Path
) -> None:
    scored(desk, "001", "run-001")
    scored(desk, "002", "run-002", later(1))
    scored(desk, "001", "again-01", later(2), dataset_of="002", taxonomy_version=3, classes=["ape"])

    told = desk.ask("report")
    assert (told["model_version"], told["request_id"], told["file"]) == ("002", "run-002", "model-002.html")
    saved = (tmp_path / "model-002.html").read_bytes()
    assert saved == PAGE + b"002"
    assert told["page"]["sha256"] == hashlib.sha256(saved).hexdigest()
    assert told["gate"]["verdict"] == "no-go"
    assert desk.ask("report", "001")["request_id"] == "run-001"
    rescored = desk.ask("report", "001", "--scoring", "again-01", "--output", "deep/down/page.HTML")
    assert (rescored["taxonomy_version"], rescored["file"]) == (3, "deep/down/page.HTML")
    assert (tmp_path / "deep/down/page.HTML").read_bytes() == PAGE + b"001"


def test_the_ending_chooses_json_or_a_table(desk: ReviewDesk, tmp_path: Path) -> None:
    scored(desk, "001", "run-001")
    desk.ask("report", "001", "--output", "all.json")
    assert json.loads((tmp_path / "all.json").read_bytes())["gate"]["verdict"] == "no-go"
    desk.ask("report", "001", "--output", "figures.parquet")
    table = pq.read_table(tmp_path / "figures.parquet")
    assert table.to_pylist() == [{
        "set": "test", "class": None, "source": None, "flag": None, "figure": "accuracy", "value": 0.75,
        "low": 0.5, "high": 0.9, "images": 9,
    }]  # fmt: skip


def test_the_verdict_is_told_rule_by_rule_failed_ones_first(
    desk: ReviewDesk, capsys: pytest.CaptureFixture[str]
) -> None:
    scored(desk, "001", "run-001")
    main_ends(["report", "001"], 0)
    shown = " ".join(capsys.readouterr().out.split())
    assert "no-go: a rule of the gate failed" in shown
    places = [
        shown.index(word) for word in ("3 of 9 images got a", "There is no such set", "The test set has 9")
    ]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["report", "404"],
            "model 404 has no report; models with one: 001. Score a model by `menagerie evaluate`",
        ),
        (
            ["report", "001"],
            "has no page: it was made before there were any. Make it anew by `menagerie evaluate 001`",
        ),
        (["report", "001", "--scoring", "nobodys"], "model 001 has no scoring 'nobodys'"),
    ],
)
def test_what_is_not_there_is_said_with_what_to_do(
    desk: ReviewDesk, capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    scored(desk, "001", "run-001", files=False)
    main_ends(arguments, 1)
    assert sentence in capsys.readouterr().err
    assert not list(tmp_path.glob("*.html"))


def test_a_place_that_cannot_be_written_is_a_sentence(
    desk: ReviewDesk, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    scored(desk, "001", "run-001")
    (tmp_path / "file").touch()
    main_ends(["report", "001", "--output", "file/page.html"], 1)
    assert "cannot be written" in capsys.readouterr().err


def test_another_ending_is_refused(desk: ReviewDesk, capsys: pytest.CaptureFixture[str]) -> None:
    main_ends(["report", "--output", "report.pdf"], 2)
    assert ".parquet" in capsys.readouterr().err


def test_a_page_that_is_not_what_the_scoring_wrote_is_not_saved(
    desk: ReviewDesk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    scored(desk, "001", "run-001")

    async def other(self: reports.Reports, version: str, scoring: str | None, name: str) -> bytes:
        return b"<p>another"

    monkeypatch.setattr(reports.Reports, "file", other)
    main_ends(["report", "001"], 1)
    assert "nothing was saved" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.html"))


def test_a_report_that_is_lost_says_so(desk: ReviewDesk, capsys: pytest.CaptureFixture[str]) -> None:
    scored(desk, "001", "run-001")
    lost = ObjectRef(bucket="reports", key="gone", size=1, sha256="1" * 64)
    table = store.metadata.tables["scoring"]
    asyncio.run(
        desk.house.database.run(
            lambda unit: unit.connection.execute(table.update().values(report=lost.model_dump(mode="json")))
        )
    )
    main_ends(["report", "001"], 1)
    assert "can no longer be read" in capsys.readouterr().err


def main_ends(arguments: list[str], code: int) -> None:
    """Run the command as typed; its exit code."""
    try:
        main(arguments)
        ended: int | str | None = 0
    except SystemExit as end:
        ended = end.code or 0
    assert ended == code
