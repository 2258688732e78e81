"""A search by real trainers (trainer_house): what is asked for, and what must have come of it."""

from __future__ import annotations

from collections import Counter

from nats.js import JetStreamContext

from contracts.commands import RequestSearch, RequestTraining
from contracts.events import SearchCompleted, SnapshotPacked, TrialCompleted
from tests.support.digit_library import DigitLibrary
from tests.support.probe import dead_letters, say, until
from tests.support.searching import search_request
from tests.support.trainer_house import TrainerHouse, said

PATIENCE_S = 1500.0
"""A trial is a child that imports TensorFlow: seconds, on a machine whose cores are shared many."""
RATES = [0.0003, 0.001, 0.003, 0.01]


def two_classes(house: TrainerHouse, name: str) -> SnapshotPacked:
    """A snapshot of 28 digits."""
    return DigitLibrary(house.store, name, "01", 14).packed()


def small_search(search_id: str, snapshot_id: str) -> RequestSearch:
    """Four trials of two epochs, two at once."""
    return search_request(
        search_id,
        snapshot_id=snapshot_id,
        space={"learning_rate": RATES},
        method="random",
        trials=len(RATES),
        parallel=2,
        prune=False,
        options={"epochs": 2, "batch_size": 8, "flip": False},
        rules={"minimum_per_class": 10},
    )


async def completed_search(js: JetStreamContext) -> SearchCompleted:
    """Once the search is over: every trial was asked for once and ended once, nothing was put aside."""

    async def over() -> bool:
        return bool(await said(js, SearchCompleted)) or bool(await dead_letters(js))

    await until(over, PATIENCE_S)
    assert await dead_letters(js) == []
    asked = Counter(one.trial_number for one in await said(js, RequestTraining))
    ended = Counter(one.trial_number for one in await said(js, TrialCompleted))
    assert asked == ended == Counter(range(len(RATES)))
    (told,) = await said(js, SearchCompleted)
    return told


async def begin(js: JetStreamContext, packed: SnapshotPacked, search_id: str) -> None:
    """Tell of the snapshot and ask for the search."""
    await say(js, packed, small_search(search_id, packed.snapshot_id))
