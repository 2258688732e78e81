"""Several trainers on one database ask for every trial once, and all hear how each ended."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from contracts.events import SearchCompleted
from deploy.migrate import upgrade
from services.trainer.search.trials import TrialState
from services.trainer.store.searches import SearchState
from tests.support.searching import (
    AT,
    HELD,
    SearchDesk,
    completed,
    progressed,
    search_desk,
    search_request,
)

pytestmark = pytest.mark.integration

TRIALS, TRAINERS = 15, 3
REQUEST = search_request(trials=TRIALS, parallel=3, method="random")
OVER = SearchCompleted(
    search_id="search-0001", snapshot_id="snap", trials=TRIALS, pruned=0, failed=0, report=HELD, page=HELD,
    completed_at=AT,
)  # fmt: skip


def work(desk: SearchDesk, seed: int) -> None:
    """One trainer: it hears of running trials, in an order of its own, until all have ended."""
    chance = random.Random(seed)
    desk.say(REQUEST)
    while (search := desk.search()).state is SearchState.RUNNING:
        waiting = [trial for trial in search.trials if trial.state is TrialState.RUNNING]
        for trial in chance.sample(waiting, len(waiting)):
            desk.say(progressed(trial.run_id, 1, 0.5))
            desk.say(completed(trial.run_id, trial.number / 100))
    desk.say(OVER)


def test_trainers_on_one_database_ask_for_every_trial_once(database_url: str) -> None:
    upgrade("trainer", database_url)
    with ThreadPoolExecutor(TRAINERS) as pool, search_desk(database_url) as first:
        desks = [first, *(SearchDesk(first.engine) for _ in range(TRAINERS - 1))]
        list(pool.map(work, desks, range(TRAINERS)))
        search = first.search()
        told = [message for desk in desks for message in desk.told]
    assert Counter(trial.number for trial in search.trials) == Counter(range(TRIALS))
    assert Counter(desk_asked.trial_number for desk in desks for desk_asked in desk.asked) == Counter(
        range(TRIALS)
    )
    assert [trial.best_val_accuracy for trial in search.trials] == [n / 100 for n in range(TRIALS)]
    assert len({tuple(trial.chosen.items()) for trial in search.trials}) == TRIALS
    assert told.count(OVER) == 1
    assert search.state is SearchState.DONE
