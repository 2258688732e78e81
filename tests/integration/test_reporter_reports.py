"""What the pages ask of the read model besides the overview, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from contracts.events import (
    DoubleChecked,
    DoubleCheckRequested,
    Gate,
    ImageRelabelled,
    ModelsCompared,
    ModelScored,
    SetScore,
)
from contracts.message import Message
from contracts.values import DoubleCheckVerdict, GateVerdict, LabelKind
from services.reporter.domain.comparing import comparison_sentences
from services.reporter.store.looked_at import looked_at
from services.runtime.database import Database
from services.runtime.objectstore import ObjectStore
from tests.support.ingest_house import MemoryStore
from tests.support.reporter_house import application, client, migrated, page_settings
from tests.support.reporter_story import NOON, Story, project_into, ref, stored

pytestmark = pytest.mark.integration
SCORED = NOON
PAGE = b"<!doctype html><style>p{color:red}</style><p>report</p><script>alert(1)</script>"


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = migrated(database_url)
    yield made
    made.close()


def image(number: int) -> str:
    return f"{number:064x}"


def asked(number: int, revision: int = 1) -> Message:
    return DoubleCheckRequested(
        image_id=image(number), revision=revision, reason="round", by="ann", requested_at=NOON
    )


def checked(number: int, verdict: str, hours: float, revision: int = 1) -> Message:
    at = NOON + timedelta(hours=hours)
    return DoubleChecked(
        image_id=image(number),
        revision=revision,
        verdict=DoubleCheckVerdict(verdict),
        by="bob",
        checked_at=at,
    )


def relabelled(number: int, hours: float) -> Message:
    return ImageRelabelled(
        image_id=image(number), revision=2, label="otter", kind=LabelKind.CLASS, previous_label="seal",
        previous_kind=LabelKind.CLASS, by="bob", labelled_at=NOON + timedelta(hours=hours),
    )  # fmt: skip


async def test_looked_at_is_what_was_checked_since_and_what_was_kept_and_still_stands(
    database: Database,
) -> None:
    story = [
        asked(1), checked(1, "unsure", 1),
        asked(2), checked(2, "relabel", -1),
        asked(3), checked(3, "keep", -1),
        asked(4), checked(4, "keep", -2), relabelled(4, -1),
        asked(5), checked(5, "keep", 1), asked(5, 2),  # taken back
        asked(6),
    ]  # fmt: skip
    await project_into(database, [(one, seq) for seq, one in enumerate(story, 1)])
    found = await database.read(lambda c: looked_at(c, SCORED))
    assert found == {image(1), image(3)}


def scored(store: ObjectStore, **change: Any) -> ModelScored:
    return ModelScored.model_validate({
        "request_id": "score-1", "model_version": "001", "threshold": 95.0, "scored_at": SCORED,
        "sets": (SetScore(name="test", images=4, accuracy=0.5, weighted_log_loss=0.7),),
        "gate": Gate(verdict=GateVerdict.GO, rules=()), "report": ref("reports", "r.json"),
        "scores": ref("reports", "s.npy"), "page": store.put("reports", "001/page.html", PAGE),
    } | change)  # fmt: skip


async def test_a_report_is_shown_under_a_policy_that_runs_nothing(database: Database) -> None:
    store = MemoryStore()
    before = scored(store, page=None, request_id="score-0", model_version="002")
    await project_into(database, [(scored(store), 1), (before, 2)])
    async with client(application(database, page_settings("sqlite://"), store)) as http:
        page = (await http.get("/models")).text
        assert 'href="/models/001/reports/score-1"' in page
        assert "menagerie evaluate 002" in page
        report = await http.get("/models/001/reports/score-1")
        assert report.content == PAGE
        policy = report.headers["content-security-policy"]
        assert ("default-src 'none'" in policy, "script-src" in policy, policy.endswith("sandbox")) == (
            True,
            False,
            True,
        )
        missing = await http.get("/models/002/reports/score-0")
        assert (missing.status_code, "menagerie evaluate 002" in missing.text) == (404, True)
        store.objects.clear()
        assert (await http.get("/models/001/reports/score-1")).status_code == 503


async def test_a_comparison_says_who_is_better_in_words(database: Database) -> None:
    store = MemoryStore()
    compared = ModelsCompared(
        request_id="compare-1", model_a="001", model_b="002", dataset_of="002", taxonomy_version=0, images=100,
        both_right=70, fixed=20, broken=2, both_wrong=8, accuracy_a=0.72, accuracy_b=0.9, p_value=0.0001,
        learned_from=3, nobodys=1, sets=(), report=ref("reports", "c.parquet"),
        summary=store.put("reports", "c.json", b"{}"), compared_at=SCORED,
    )  # fmt: skip
    await project_into(database, [*stored(Story(images=1).tell()), (compared, 10_000)])
    async with client(application(database, page_settings("sqlite://"), store)) as http:
        page = (await http.get("/models")).text
        assert "Model 002 is better, and hardly by chance (p = below 0.001)" in page
        assert (await http.get("/comparisons/compare-1/summary")).content == b"{}"
        assert (await http.get("/comparisons/never/summary")).status_code == 404


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": 0}, "No image was left"),
        ({"fixed": 3, "broken": 3}, "Neither is better"),
        ({"fixed": 3, "broken": 5, "p_value": 0.7}, "Model 001 is ahead, but that can be chance (p = 0.700)"),
    ],
)
def test_a_comparison_without_a_winner_says_so(change: dict[str, Any], words: str) -> None:
    row = {"model_a": "001", "model_b": "002", "images": 9, "fixed": 4, "broken": 0, "p_value": 0.01} | change
    assert words in " ".join(comparison_sentences(row))
