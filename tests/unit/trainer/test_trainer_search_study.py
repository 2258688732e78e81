"""What Optuna is asked: the same question gives the same answer, and no two trials are alike."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.trainer.search.space import axes_of, with_values
from services.trainer.search.study import importance, is_bad, propose
from services.trainer.search.trials import Trial, TrialState, best_of, hopeless, run_of
from tests.support.searching import merit, search_request, trial

METHODS = ["grid", "random", "bayesian"]
SMALL: dict[str, Any] = {"flip": [True, False], "epochs": {"low": 1, "high": 3}}
STEPPED: dict[str, Any] = {
    "learning_rate": [0.1, 0.01, 0.003, 0.001],
    "dropout": {"low": 0, "high": 0.5, "step": 0.1},
}


def searched(trials: int, method: str = "bayesian", seed: int = 7, space: Any = None) -> list[Trial]:
    """A whole search, one trial after another, by a made-up merit."""
    request = search_request(
        trials=trials, method=method, seed=seed, **({} if space is None else {"space": space})
    )
    done: list[Trial] = []
    for number in range(trials):
        chosen = propose(request, axes_of(request), done, number)
        done.append(trial(number, merit(chosen) if "dropout" in chosen else 0.5, chosen=chosen))
    return done


@pytest.mark.parametrize("method", METHODS)
def test_the_same_trials_before_give_the_same_next_one(method: str) -> None:
    space = STEPPED if method == "grid" else None
    first, again = (searched(14, method, space=space) for _ in range(2))
    assert first == again
    assert first != searched(14, method, seed=8, space=space)


def test_another_process_without_scikit_learn_chooses_and_weighs_the_same() -> None:
    code = (
        "import sys; sys.modules['sklearn'] = sys.modules['scipy'] = None\n"
        "from tests.unit.trainer.test_trainer_search_study import *\n"
        "done = searched(12)\n"
        "print(done[-1].chosen, importance(axes_of(search_request()), done))"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    done = searched(12)
    assert said == f"{done[-1].chosen} {importance(axes_of(search_request()), done)}\n"


@settings(max_examples=6, deadline=None)
@given(method=st.sampled_from(METHODS), seed=st.integers(0, 10_000))
def test_a_small_space_is_tried_whole_and_nothing_twice(method: str, seed: int) -> None:
    chosen = [tuple(done.chosen.items()) for done in searched(6, method, seed, SMALL)]
    assert len(set(chosen)) == 6


@settings(max_examples=6, deadline=None)
@given(method=st.sampled_from(METHODS[1:]), seed=st.integers(0, 10_000), running=st.integers(0, 6))
def test_what_is_proposed_can_be_trained_whatever_runs_meanwhile(
    method: str, seed: int, running: int
) -> None:
    request = search_request(method=method, seed=seed)
    known: list[Trial] = []
    for number in range(12):
        chosen = propose(request, axes_of(request), known, number)
        with_values(request.options, chosen)
        score = None if number < running else merit(chosen)
        known.append(trial(number, score, chosen=chosen))
    assert len({tuple(one.chosen.items()) for one in known}) == 12


def test_trials_that_run_together_differ_because_running_ones_count_as_bad() -> None:
    done = searched(12)
    request = search_request(trials=30)
    together: list[Trial] = []
    for number in range(12, 16):
        chosen = propose(request, axes_of(request), [*done, *together], number)
        together.append(trial(number, chosen=chosen))
    rates = sorted(float(one.chosen["learning_rate"]) for one in together)
    assert len(set(rates)) == 4


def test_bayesian_search_comes_closer_than_random_search() -> None:
    def mean_best(method: str) -> float:
        bests = [best_of(searched(30, method, seed)) for seed in range(3)]
        return sum(best.best_val_accuracy or 0 for best in bests if best) / 3

    assert mean_best("bayesian") > mean_best("random")


def curve(number: int, level: float, epochs: int, state: TrialState = TrialState.COMPLETE) -> Trial:
    chosen = {"learning_rate": 0.01, "batch_size": 16, "dropout": number / 10 % 0.5}
    steps = {epoch: level * epoch / 6 for epoch in range(1, epochs + 1)}
    score = None if state is TrialState.RUNNING else level
    return trial(number, score, state=state, chosen=chosen, steps=steps)


def test_a_trial_below_the_median_of_the_others_at_its_epoch_is_bad() -> None:
    request = search_request()
    others = [curve(number, 0.8 + number / 100, 6) for number in range(4)]
    for level, bad in ((0.4, True), (0.9, False)):
        running = curve(4, level, 3, TrialState.RUNNING)
        assert is_bad(request, axes_of(request), [*others, running], 4) is bad


def test_no_trial_is_bad_in_its_first_epochs_or_beside_too_few_others() -> None:
    request = search_request(options={"epochs": 6, "rates": {"head_epochs": 2}})
    others = [curve(number, 0.8, 6) for number in range(4)]
    assert not is_bad(request, axes_of(request), [*others, curve(4, 0.1, 1, TrialState.RUNNING)], 4)
    assert is_bad(request, axes_of(request), [*others, curve(4, 0.1, 2, TrialState.RUNNING)], 4)
    assert not is_bad(request, axes_of(request), [*others[:3], curve(3, 0.1, 4, TrialState.RUNNING)], 3)


def test_the_option_that_decides_weighs_most() -> None:
    request = search_request(trials=30)
    weighed = importance(axes_of(request), searched(30, "random"))
    assert weighed is not None
    assert next(iter(weighed)) == "learning_rate"
    assert abs(sum(weighed.values()) - 1) < 1e-6


def test_few_or_equal_trials_weigh_nothing() -> None:
    request = search_request()
    assert importance(axes_of(request), searched(5)) is None
    equal = [one.model_copy(update={"best_val_accuracy": 0.5}) for one in searched(8)]
    assert importance(axes_of(request), equal) is None


def test_the_best_trial_came_to_its_end_and_is_the_first_of_equals() -> None:
    pruned = trial(0, 0.99, state=TrialState.PRUNED)
    assert best_of([pruned, trial(1, 0.8), trial(2, 0.9), trial(3, 0.9), trial(4)]) == trial(2, 0.9)
    assert best_of([pruned, trial(1)]) is None


def failures(*remedies: str) -> list[Trial]:
    return [
        trial(number, state=TrialState.FAILED, error="it broke", remedy=remedy)
        for number, remedy in enumerate(remedies)
    ]


def test_a_search_is_hopeless_when_its_first_trials_fail_alike() -> None:
    assert hopeless(failures("add memory", "add memory")) is None
    assert hopeless(failures("add memory", "add memory", "add memory")) is not None
    assert hopeless(failures("lower it (now 1)", "lower it (now 0.1)", "lower it (now 0.5)")) is None
    assert hopeless([*failures("x", "x", "x"), trial(3, 0.5)]) is None
    assert hopeless([*failures("x", "x", "x"), trial(3)]) is not None


def test_run_ids_are_made_of_search_and_number_and_fit_a_message() -> None:
    assert run_of("search-0001", 3) == "search-0001-t003"
    long = [run_of("x" * 64, number) for number in range(1000)]
    assert len(set(long)) == 1000
    assert max(map(len, long)) <= 64
