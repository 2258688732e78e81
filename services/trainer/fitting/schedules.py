"""The learning rate of each step: a function of the options, the place in the run and the curve so far."""

from __future__ import annotations

import math
from collections.abc import Sequence

from contracts.manifests import Epoch
from contracts.training import TrainOptions

WARM_UP_SHARE = 0.1
"""Of a cosine run's steps: a new output layer's first gradients are noise."""
FIRST_SHARE = 0.1
"""Of the learning rate, where the warm-up begins."""
LAST_SHARE = 0.01
"""Of the learning rate, where the cosine ends."""
PLATEAU_FACTOR = 0.2


def learning_rate(options: TrainOptions, epoch: int, step: int, steps: int, curve: Sequence[Epoch]) -> float:
    """The rate of ``step`` (from 0) of ``steps`` in ``epoch`` (from 1), after the epochs in ``curve``.

    The epochs in which the output layer learns alone have the full rate; the schedule is for the rest.
    """
    head = min(options.rates.head_epochs, options.epochs)
    if epoch <= head or options.schedule == "constant":
        return options.learning_rate
    if options.schedule == "plateau":
        return options.learning_rate * PLATEAU_FACTOR ** reductions(curve[head:], options.plateau_epochs)
    total = steps * (options.epochs - head)
    return options.learning_rate * _cosine((epoch - 1 - head) * steps + step, total)


def _cosine(step: int, total: int) -> float:
    warm_up = max(1, int(total * WARM_UP_SHARE))
    if step < warm_up:
        return FIRST_SHARE + (1 - FIRST_SHARE) * step / warm_up
    done = min(1.0, (step - warm_up) / max(1, total - warm_up))
    return LAST_SHARE + (1 - LAST_SHARE) * 0.5 * (1 + math.cos(math.pi * done))


def reductions(curve: Sequence[Epoch], patience: int) -> int:
    """How often ``patience`` epochs in a row had no lower validation loss; without one, no lower loss."""
    best, waited, found = math.inf, 0, 0
    for epoch in curve:
        loss = epoch.loss if epoch.val_loss is None else epoch.val_loss
        if loss < best:
            best, waited = loss, 0
            continue
        waited += 1
        if waited == patience:
            found, waited = found + 1, 0
    return found
