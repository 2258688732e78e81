"""What to try next, which trial to stop, which option mattered: Optuna, asked anew each time.

The study lives in memory and is rebuilt from the tables for every question, so that N trainers
share a search without sharing a process: the answer is a function of the request and its trials.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from contracts.commands import RequestSearch
from services.trainer.search.space import Axis, shuffled, trials_at_most
from services.trainer.search.trials import Chosen, Scalar, Trial, TrialState

optuna.logging.set_verbosity(optuna.logging.WARNING)

TRIES = 10
"""Suggestions to hear before an untried point is drawn: small spaces repeat themselves."""
TRIALS_TO_COMPARE = 4
"""Nothing is pruned before so many trials came to their end."""
TRIALS_TO_WEIGH = 6
"""Completed trials below which the importance of an option is noise."""


def propose(
    request: RequestSearch, axes: Sequence[Axis], trials: Sequence[Trial], number: int
) -> dict[str, Scalar]:
    """The options of trial ``number``; ``trials`` are all before it, ended or not."""
    if request.method == "grid":
        return shuffled(axes, request.seed, trials_at_most(request, axes))[number]
    tried = {_key(trial.chosen) for trial in trials}
    study = _study(axes, trials, _sampler(request, number))
    asked = {axis.name: _distribution(axis) for axis in axes}
    for _ in range(TRIES):
        suggested = study.ask(asked).params
        chosen = {axis.name: axis.tidy(suggested[axis.name]) for axis in axes}
        if _key(chosen) not in tried:
            return chosen
    drawn = shuffled(axes, _seed(request.seed, number), len(tried) + 1)
    return next(one for one in drawn if _key(one) not in tried)


def is_bad(request: RequestSearch, axes: Sequence[Axis], trials: Sequence[Trial], number: int) -> bool:
    """Whether trial ``number`` is worse so far than the median of the completed ones at its last epoch."""
    study = _study(axes, trials, optuna.samplers.RandomSampler(seed=0))
    own = study.get_trials(deepcopy=False)[number]
    # The first epochs of a warm-up or of an output layer that learns alone say nothing.
    quiet = max(1, own.params.get("epochs", request.options.epochs) // 5, request.options.rates.head_epochs)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=TRIALS_TO_COMPARE, n_warmup_steps=quiet)
    return bool(pruner.prune(study, own))


def importance(axes: Sequence[Axis], trials: Sequence[Trial]) -> dict[str, float] | None:
    """Option -> share of what it decided, largest first (PED-ANOVA); None when too few trials tell."""
    done = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    if len(done) < TRIALS_TO_WEIGH or len({trial.best_val_accuracy for trial in done}) == 1:
        return None
    study = _study(axes, trials, optuna.samplers.RandomSampler(seed=0))
    # fANOVA, Optuna's default, needs scikit-learn, which the trainer does not carry.
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    return optuna.importance.get_param_importances(study, evaluator=evaluator)


def _study(
    axes: Sequence[Axis], trials: Sequence[Trial], sampler: optuna.samplers.BaseSampler
) -> optuna.Study:
    study = optuna.create_study(direction="maximize", sampler=sampler)
    distributions = {axis.name: _distribution(axis) for axis in axes}
    study.add_trials([_frozen(trial, distributions) for trial in trials])
    return study


def _sampler(request: RequestSearch, number: int) -> optuna.samplers.BaseSampler:
    seed = _seed(request.seed, number)
    if request.method == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    at_random = max(4, min(10, request.trials // 3))
    # The liar counts running trials as bad ones, so that trials asked for together differ.
    return optuna.samplers.TPESampler(
        n_startup_trials=at_random, multivariate=True, constant_liar=True, seed=seed
    )


def _frozen(trial: Trial, distributions: dict[str, Any]) -> optuna.trial.FrozenTrial:
    states = {
        TrialState.RUNNING: optuna.trial.TrialState.RUNNING,
        TrialState.COMPLETE: optuna.trial.TrialState.COMPLETE,
        TrialState.PRUNED: optuna.trial.TrialState.PRUNED,
        TrialState.FAILED: optuna.trial.TrialState.FAIL,
        TrialState.CANCELLED: optuna.trial.TrialState.FAIL,
    }
    return optuna.trial.create_trial(
        state=states[trial.state],
        value=trial.best_val_accuracy if trial.state is TrialState.COMPLETE else None,
        params=dict(trial.chosen),
        distributions=distributions,
        intermediate_values=dict(trial.steps),
    )


def _distribution(axis: Axis) -> optuna.distributions.BaseDistribution:
    if axis.values:
        return CategoricalDistribution(axis.values)
    if axis.whole:
        return IntDistribution(round(axis.low), round(axis.high), axis.log, round(axis.step or 1))
    return FloatDistribution(axis.low, axis.high, axis.log, axis.step)


def _seed(seed: int, number: int) -> int:
    """A sampler's seed, 32 bits: the same search and number choose the same."""
    return int.from_bytes(hashlib.sha256(f"{seed} {number}".encode()).digest()[:4], "big")


def _key(chosen: Chosen) -> tuple[tuple[str, Scalar], ...]:
    return tuple(sorted(chosen.items()))
