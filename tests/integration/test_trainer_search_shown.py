"""Searches in the read model, on both databases."""

from __future__ import annotations

import pytest

from contracts.commands import RequestTraining
from contracts.events import SearchCompleted, TrainFailed
from contracts.training import TrainOptions
from services.reporter.store import models, searches
from tests.support.reporter_house import application, client, migrated, page_settings
from tests.support.reporter_story import project_into, stored
from tests.support.searching import (
    AT,
    HELD,
    HOSTILE,
    cancelled,
    completed,
    failed,
    progressed,
    search_request,
)

pytestmark = pytest.mark.integration

OVER = SearchCompleted(
    search_id="search-0001", snapshot_id="snap", trials=4, pruned=1, failed=1, best_val_accuracy=0.5,
    best_run_id="search-0001-t000", best_options=TrainOptions(), report=HELD, page=HELD, completed_at=AT,
)  # fmt: skip


def asked(number: int) -> RequestTraining:
    return RequestTraining(
        run_id=f"search-0001-t{number:03d}", snapshot_id="snap", trial=True, search_id="search-0001",
        trial_number=number, options=TrainOptions(batch_size=16 * (number + 1)), by="ann", requested_at=AT,
    )  # fmt: skip


async def test_the_overview_shows_the_newest_searches_and_no_text_of_theirs_as_markup(
    database_url: str,
) -> None:
    database = migrated(database_url)

    async def shown() -> str:
        async with client(application(database, page_settings("sqlite://"))) as http:
            return " ".join((await http.get("/parts/training")).text.split())

    assert "No training has been asked for yet." in await shown()
    await project_into(
        database, stored([search_request(), asked(0), asked(1), completed(asked(0).run_id, 0.5)])
    )
    text = await shown()
    assert 'Search <code class="faint">search-0001</code>' in text
    assert "1 of at most 8 trials ended, 0 of them early, 1 running" in text
    later = AT.replace(day=23)
    told = [
        OVER,
        search_request("search-0002", requested_at=later),
        cancelled("search-0002").model_copy(update={"by": HOSTILE, "reason": HOSTILE}),
    ]
    await project_into(database, [(message, 1000 + place) for place, message in enumerate(told)])
    text = await shown()
    assert "4 trials, best 50.0 % by <code>search-0001-t000</code>" in text
    assert "being cancelled by &lt;script&gt;" in text
    assert "<script>" not in text
    failure = TrainFailed(run_id="search-0003", error=HOSTILE, remedy=HOSTILE, failed_at=later)
    asked_last = search_request("search-0003", requested_at=later.replace(day=24))
    await project_into(database, [(asked_last, 2000), (failure, 2001)])
    text = await shown()
    assert "search-0001</code>" not in text  # the newest two
    assert "<script>" not in text
    database.close()


async def test_a_search_is_shown_with_its_trials_and_is_no_run_itself(database_url: str) -> None:
    told = [
        search_request(),
        *(asked(number) for number in range(4)),
        progressed("search-0001-t003", 2, 0.25),
        completed("search-0001-t000", 0.5),
        completed("search-0001-t001", 0.25, pruned=True, epochs=2),
        failed("search-0001-t002"),
        search_request("search-0002"),
        TrainFailed(run_id="search-0002", error="no such option", remedy="another", failed_at=AT),
        search_request("search-0003"),
        cancelled("search-0003"),
    ]
    database = migrated(database_url)
    await project_into(database, stored(told))
    listed = {row["search_id"]: row for row in await database.read(lambda c: searches.searches(c, 10))}
    assert {name: row["state"] for name, row in listed.items()} == {
        "search-0001": "running", "search-0002": "failed", "search-0003": "stopping",
    }  # fmt: skip
    assert listed["search-0001"]["counts"] == {"complete": 1, "pruned": 1, "failed": 1, "running": 1}
    assert listed["search-0002"]["error"] == "no such option"
    shown = await database.read(lambda c: models.newest_runs(c, 10))
    assert {run["run_id"] for run in shown} == {f"search-0001-t{number:03d}" for number in range(4)}

    one = await database.read(lambda c: searches.search(c, "search-0001"))
    assert one is not None
    assert [trial["state"] for trial in one["trial_list"]] == ["complete", "pruned", "failed", "running"]
    assert [trial["chosen"]["batch_size"] for trial in one["trial_list"]] == [16, 32, 48, 64]
    assert (one["trial_list"][3]["epochs_run"], one["trial_list"][3]["val_accuracy"]) == (1, 0.25)
    assert await database.read(lambda c: searches.search(c, "none")) is None
    assert await database.read(lambda c: searches.file_of(c, "search-0001", "page")) is None

    await project_into(database, [(OVER, 1000)])
    (done,) = [row for row in await database.read(lambda c: searches.searches(c, 10)) if row["trials"]]
    assert (done["state"], done["best_validation_accuracy"]) == ("completed", 0.5)
    assert await database.read(lambda c: searches.file_of(c, "search-0001", "page")) == HELD
    database.close()
