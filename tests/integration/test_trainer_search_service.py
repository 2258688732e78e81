"""A search with two real trainers, real trials and real servers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from contracts.commands import RequestTraining
from contracts.events import TrialCompleted
from contracts.manifests import Buckets
from tests.support.search_house import RATES, begin, completed_search, two_classes
from tests.support.servers import Broker, Postgres, S3Server
from tests.support.trainer_house import TrainerHouse, said

pytestmark = pytest.mark.integration


async def test_two_trainers_share_a_search_and_its_best_request_is_ready_to_run(
    broker: Broker, weed: S3Server, postgres: Postgres, tmp_path: Path
) -> None:
    await asyncio.to_thread(broker.provision)
    house = TrainerHouse(broker, weed, await asyncio.to_thread(postgres.new_database), tmp_path)
    packed = await asyncio.to_thread(two_classes, house, "search-two-trainers")
    client = await broker.client("admin")
    js = client.jetstream(timeout=15)
    async with house.trainer("one"), house.trainer("other"):
        await begin(js, packed, "search-shared")
        told = await completed_search(js)
    trials = await said(js, TrialCompleted)
    asked = {one.run_id: one for one in await said(js, RequestTraining)}
    await client.close()

    best = max(trials, key=lambda one: (one.best_val_accuracy, -(one.trial_number or 0)))
    assert (told.best_run_id, told.best_val_accuracy) == (best.run_id, best.best_val_accuracy)
    assert told.best_options == asked[best.run_id].options
    assert {one.options.learning_rate for one in asked.values()} == set(RATES)
    assert {one.search_id for one in trials} == {"search-shared"}

    store = weed.store()
    report = json.loads(store.get(told.report))
    assert [trial["state"] for trial in report["trials"]] == ["complete"] * len(RATES)
    assert report["best"]["run_id"] == best.run_id
    assert b"<h1>Search search-shared</h1>" in store.get(told.page)
    body = store.read_range(Buckets.REPORTS, "searches/search-shared/best.json", 0, 100_000)
    again = RequestTraining.model_validate(
        json.loads(body) | {"run_id": "best-again", "by": "ann", "requested_at": told.completed_at}
    )
    assert again.options == told.best_options
