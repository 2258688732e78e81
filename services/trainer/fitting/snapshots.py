"""Between a model in training and its checkpoints."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import keras
import numpy as np

from contracts.manifests import Epoch
from contracts.training import TrainOptions
from services.trainer.fitting.checkpoint import (
    Array,
    Checkpoint,
    CheckpointDamaged,
    Checkpoints,
    Spent,
    read_checkpoint,
    write_checkpoint,
)
from services.trainer.fitting.compiling import Trained
from services.trainer.fitting.feeding import Examples

MOST_SHARE = 0.05
"""Of the time, at most, goes into checkpoints: those of a large network to a slow disk come less often."""

log = logging.getLogger(__name__)


class Saving:
    """When to save to ``checkpoints``, and what is there: only states with ``mark`` are this run's."""

    def __init__(self, checkpoints: Checkpoints | None, every_s: float, mark: str) -> None:
        self._checkpoints, self._every_s, self._mark = checkpoints, every_s, mark
        self._next = time.monotonic() + every_s

    def due(self) -> bool:
        """Whether a checkpoint should be saved now."""
        return self._checkpoints is not None and time.monotonic() >= self._next

    def save(self, state: Checkpoint) -> None:
        """Save ``state``; a full disk costs the checkpoint and not the run."""
        assert self._checkpoints is not None
        started = time.monotonic()
        try:
            self._checkpoints.save(partial(write_checkpoint, state))
        except OSError as error:
            log.warning("no checkpoint after step %d of epoch %d: %s", state.step, state.epoch, error)
        done = time.monotonic()
        self._next = done + (max(self._every_s, (done - started) / MOST_SHARE) if self._every_s else 0.0)

    def newest(self) -> Checkpoint | None:
        """The state to go on from; a damaged or foreign one is told and left alone."""
        path = self._checkpoints.newest() if self._checkpoints else None
        if path is None:
            return None
        try:
            found = read_checkpoint(path)
        except (CheckpointDamaged, OSError) as error:
            log.warning("the checkpoint cannot be read, the run starts anew: %s", error)
            return None
        if found.fingerprint != self._mark:
            log.warning("%s is of other options, data or software, the run starts anew", path.name)
            return None
        return found


def fingerprint(model: keras.Model, train: Examples, validation: Examples, options: TrainOptions) -> str:
    """What is trained on what, how and by what, as sha256: states of two runs that differ never mix."""
    known = {
        "options": options.model_dump(mode="json"),
        "variables": [[list(variable.shape), str(variable.dtype)] for variable in model.variables],
        "software": [keras.__version__, keras.backend.backend()],
        "classes": [hashlib.sha256(side.classes.tobytes()).hexdigest() for side in (train, validation)],
    }
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def state_of(
    model: Trained, mark: str, step: int, spent: Spent, curve: tuple[Epoch, ...], kept: tuple[Array, ...]
) -> Checkpoint:
    """The state after ``step`` steps of the epoch after ``curve``."""
    return Checkpoint(
        fingerprint=mark,
        epoch=len(curve) + 1,
        step=step,
        spent=spent,
        curve=curve,
        variables=_values(model.variables),
        optimizer=_values(model.optimizer.variables),
        metrics=_values(_metrics(model)),
        kept=kept,
    )


def put_back(model: Trained, state: Checkpoint) -> None:
    """``model``, compiled for the epoch of ``state``, stands where it stood then."""
    places = (model.variables, model.optimizer.variables, _metrics(model))
    for variables, values in zip(places, (state.variables, state.optimizer, state.metrics), strict=True):
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)


def weights_of(model: keras.Model) -> tuple[Array, ...]:
    """Copies of the weights, in the order that ``set_weights`` takes."""
    return tuple(np.array(value) for value in _values(model.weights))


def _metrics(model: Trained) -> list[keras.Variable]:
    return [variable for metric in model.running for variable in metric.variables]


def _values(variables: Iterable[keras.Variable]) -> tuple[Array, ...]:
    to_numpy: Callable[[Any], Array] = keras.ops.convert_to_numpy
    return tuple(to_numpy(variable.value) for variable in variables)
