"""Searches in the database: each number asked for once, whatever comes twice, late or at the same time."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.commands import CancelTraining
from contracts.events import SearchCompleted, TrainCancelled, TrainFailed
from contracts.message import Message
from services.trainer.search.trials import TrialState
from services.trainer.store.searches import SearchState
from tests.support.searching import (
    AT,
    HELD,
    SearchDesk,
    cancelled,
    completed,
    failed,
    progressed,
    search_desk,
    search_request,
)

FLAT = {"flip": [True, False], "rotate_degrees": [0, 4, 8, 12], "zoom_share": [0.0, 0.1, 0.2]}


@pytest.fixture
def desk() -> Iterator[SearchDesk]:
    with search_desk() as made:
        yield made


def cancel(run_id: str = "search-0001") -> CancelTraining:
    return CancelTraining(
        request_id="cancel-0001", run_id=run_id, by="bob", reason="too slow", requested_at=AT
    )


def test_as_many_trials_as_may_run_at_once_are_asked_for(desk: SearchDesk) -> None:
    request = search_request(parallel=3, taxonomy_version=2, rules={"minimum_per_class": 5})
    desk.say(request)
    assert [one.trial_number for one in desk.asked] == [0, 1, 2]
    first = desk.asked[0]
    assert (first.trial, first.search_id, first.run_id) == (True, "search-0001", "search-0001-t000")
    assert (first.base, first.taxonomy_version, first.rules) == ("scratch", 2, request.rules)
    assert first.options.epochs == 6
    assert {key: getattr(first.options, key) for key in request.space} == desk.search().trials[0].chosen
    assert len({one.options.learning_rate for one in desk.asked}) == 3


def test_an_outcome_asks_for_the_next_one_and_a_repetition_for_nothing(desk: SearchDesk) -> None:
    desk.say(search_request(trials=3))
    for message in (completed("search-0001-t000", 0.5), search_request(trials=3)) * 2:
        desk.say(message)
    assert [one.trial_number for one in desk.asked] == [0, 1]
    desk.say(failed("search-0001-t001"))
    desk.say(completed("search-0001-t000", 0.9))
    desk.say(cancelled("search-0001-t002"))
    search = desk.search()
    assert [one.trial_number for one in desk.asked] == [0, 1, 2]
    assert [one.state for one in search.trials] == [
        TrialState.COMPLETE, TrialState.FAILED, TrialState.CANCELLED,
    ]  # fmt: skip
    assert (search.trials[0].best_val_accuracy, search.state) == (0.5, SearchState.REPORTING)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32), parallel=st.integers(1, 5), method=st.sampled_from(["grid", "random"]))
def test_whatever_comes_twice_and_in_any_order_every_number_is_asked_for_once(
    seed: int, parallel: int, method: str
) -> None:
    chance = random.Random(seed)
    request = search_request(space=FLAT, trials=9, parallel=parallel, method=method)
    with search_desk() as desk:
        desk.say(request)
        heard: list[Message] = [request]
        while desk.search().state is SearchState.RUNNING:
            waiting = [one.run_id for one in desk.search().trials if one.state is TrialState.RUNNING]
            assert 1 <= len(waiting) <= parallel
            run_id = chance.choice(waiting)
            ends = (completed(run_id, chance.random()), failed(run_id, run_id), cancelled(run_id))
            heard += [progressed(run_id, 1, chance.random()), chance.choice(ends)]
            for message in chance.sample(heard, min(3, len(heard))) + heard[-2:]:
                desk.say(message)
        assert [one.trial_number for one in desk.asked] == list(range(9))
        assert len({one.options.model_dump_json() for one in desk.asked}) == 9
        before = desk.search()
        for message in heard:
            desk.say(message)
        assert desk.search() == before


def test_a_bad_trial_is_told_to_stop_and_its_curve_counts(desk: SearchDesk) -> None:
    desk.say(search_request())
    for number in range(4):
        for epoch in range(1, 7):
            desk.say(progressed(f"search-0001-t{number:03d}", epoch, 0.1 * epoch))
        desk.say(completed(f"search-0001-t{number:03d}", 0.6))
    desk.say(progressed("search-0001-t004", 1, 0.2))
    assert desk.stops() == {}
    desk.say(progressed("search-0001-t004", 2, 0.1))
    assert desk.stops() == {}, "its best so far counts"
    desk.say(progressed("search-0001-t004", 3, 0.1))
    assert desk.stops() == {"search-0001-t004": "pruned"}
    desk.say(completed("search-0001-t004", 0.2, pruned=True, epochs=3))
    last = desk.search().trials[4]
    assert (last.state, last.best_val_accuracy) == (TrialState.PRUNED, 0.2)
    assert last.steps == {1: 0.2, 2: 0.1, 3: 0.2}, "the end names its best epoch"
    assert len(desk.asked) == 6


def test_a_search_without_pruning_lets_every_trial_end(desk: SearchDesk) -> None:
    desk.say(search_request(prune=False))
    for number in range(4):
        desk.say(progressed(f"search-0001-t{number:03d}", 3, 0.9))
        desk.say(completed(f"search-0001-t{number:03d}", 0.9))
    desk.say(progressed("search-0001-t004", 3, 0.1))
    assert desk.stops() == {}


def test_a_cancelled_search_asks_for_nothing_more_and_cancels_what_runs(desk: SearchDesk) -> None:
    desk.say(search_request(parallel=2))
    for _ in range(2):
        desk.say(cancel())
    told = [one for one in desk.told if isinstance(one, TrainCancelled)]
    # No trainer had begun the trials, so they are told as cancelled at once; by their own trainers otherwise.
    assert [one.run_id for one in told] == ["search-0001", "search-0001-t000", "search-0001-t001"]
    assert {(one.by, one.reason) for one in told} == {("bob", "too slow")}
    assert desk.search().state is SearchState.STOPPING
    for message in told:
        desk.say(message)
    assert desk.search().state is SearchState.REPORTING
    assert len(desk.asked) == 2


def test_a_search_that_was_cancelled_before_it_was_heard_of_asks_for_nothing(desk: SearchDesk) -> None:
    desk.say(cancel())
    for _ in range(2):
        desk.say(search_request())
    assert [type(one) for one in desk.told] == [TrainCancelled]
    assert desk.search().state is SearchState.REPORTING


def test_a_space_that_cannot_be_trained_fails_the_search_once(desk: SearchDesk) -> None:
    for _ in range(2):
        desk.say(search_request(space={"batch_size": ["many"]}))
    (told,) = desk.told
    assert isinstance(told, TrainFailed)
    assert told.run_id == "search-0001"
    assert told.error == "space.batch_size lists 'many', and batch_size takes whole numbers"
    assert desk.search().state is SearchState.FAILED


def test_a_search_that_cannot_begin_is_refused_once_and_one_that_has_begun_goes_on(desk: SearchDesk) -> None:
    for _ in range(2):
        desk.refuse(search_request("search-0002"), "its snapshot never came")
    (told,) = desk.told
    assert isinstance(told, TrainFailed)
    assert (told.run_id, told.error) == ("search-0002", "its snapshot never came")
    assert desk.search("search-0002").state is SearchState.FAILED
    desk.say(search_request("search-0002"))
    assert desk.told == [told]
    desk.say(search_request())
    desk.refuse(search_request(), "late")
    assert desk.search().state is SearchState.RUNNING


def test_an_unknown_base_fails_the_search(desk: SearchDesk) -> None:
    desk.say(search_request(base="404"))
    (told,) = desk.told
    assert isinstance(told, TrainFailed)
    assert told.error == "there is no model 404 to start from"


def test_first_trials_that_fail_alike_end_the_search_and_cancel_the_others(desk: SearchDesk) -> None:
    desk.say(search_request(parallel=2))
    for number in range(3):
        desk.say(failed(f"search-0001-t{number:03d}", "no class has 40 labelled images", "label more"))
    *_, told, other = desk.told
    assert isinstance(told, TrainFailed)
    assert told.error == "all trials failed alike: no class has 40 labelled images"
    assert (told.run_id, told.remedy) == ("search-0001", "label more")
    assert isinstance(other, TrainCancelled)
    assert other.run_id == "search-0001-t003"
    desk.say(other)
    assert desk.search().state is SearchState.FAILED
    assert len(desk.asked) == 4


def test_a_search_ends_once_and_only_when_all_trials_have(desk: SearchDesk) -> None:
    desk.say(search_request(trials=1))
    over = SearchCompleted(
        search_id="search-0001", snapshot_id="snap", trials=1, pruned=0, failed=0, report=HELD, page=HELD,
        completed_at=AT,
    )  # fmt: skip
    desk.say(over)
    assert desk.search().state is SearchState.RUNNING
    desk.say(completed("search-0001-t000", 0.5))
    for _ in range(2):
        desk.say(over)
    assert desk.told.count(over) == 1
    assert desk.search().state is SearchState.DONE


def test_what_is_heard_of_other_runs_changes_nothing(desk: SearchDesk) -> None:
    desk.say(search_request())
    before = desk.search()
    for message in (progressed("run-0001", 1, 0.5), completed("run-0001", 0.5), failed("run-0001")):
        desk.say(message)
    assert desk.search() == before
