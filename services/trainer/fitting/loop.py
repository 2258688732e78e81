"""The training loop: deterministic for a seed, resumable in any step, good weights kept."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import keras

from contracts.manifests import Epoch
from contracts.training import TrainOptions
from services.networks.layers import let_learn
from services.trainer.domain.errors import TrainingError
from services.trainer.domain.selection import has_stalled, standing
from services.trainer.fitting.checkpoint import Array, Checkpoints, Spent
from services.trainer.fitting.compiling import Trained, class_weights, precision
from services.trainer.fitting.feeding import Examples, Feed
from services.trainer.fitting.schedules import learning_rate
from services.trainer.fitting.scoring import score
from services.trainer.fitting.snapshots import Saving, fingerprint, put_back, state_of, weights_of

LOOK_EVERY_S = 30.0
"""How often the loss is looked at within an epoch: looking makes the device wait for the host."""


class Cancelled(Exception):
    """The run was told to stop."""


@dataclass(frozen=True)
class Fit:
    """A finished run: the model holds the weights of ``best_epoch``."""

    epochs: tuple[Epoch, ...]
    best_epoch: int


@dataclass(frozen=True)
class StepReport:
    """How far the run is after ``step`` (from 1) of ``steps`` in ``epoch`` (from 1)."""

    epoch: int
    step: int
    steps: int
    images_per_s: float
    data_wait_share: float
    _model: Trained

    @property
    def loss(self) -> float:
        """Mean of the epoch so far. Reading it makes the device wait: not in each step."""
        return float(self._model.running[0].result())

    @property
    def accuracy(self) -> float:
        """See ``loss``."""
        return float(self._model.running[1].result())


def fit(
    model: keras.Model,
    train: Examples,
    validation: Examples,
    options: TrainOptions,
    *,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_step: Callable[[StepReport], None] = lambda report: None,
    on_resume: Callable[[tuple[Epoch, ...], int], None] = lambda curve, step: None,
    checkpoints: Checkpoints | None = None,
    checkpoint_every_s: float = 60.0,
    cancelled: Callable[[], bool] = lambda: False,
) -> Fit:
    """Train ``model`` in place and leave it with the weights of its best epoch.

    The kept epoch is the last whose validation accuracy is not worse than the best by more than luck
    (domain/selection.py); without a validation side, the one with the lowest loss. With ``checkpoints``
    the run goes on from the newest, and with deterministic options ends as if it had never stopped;
    ``on_resume`` hears of the curve until then and the step within its next epoch, and ``on_epoch`` again
    of epochs that ended later.

    Raises:
        Cancelled: ``cancelled()``, which is asked before each step, said so.
        TrainingError: the loss is no number any more, or no layer would learn.
    """
    with precision(model, options):
        run = _Run(Trained(model.inputs, model.outputs), train, validation, options, cancelled, on_step)
        run.saving = Saving(checkpoints, checkpoint_every_s, run.mark)
        try:
            if run.resume():
                on_resume(run.curve, run.step)
            while not run.over():
                on_epoch(run.one_epoch())
        finally:
            let_learn(model)
        return run.finish()


class _Run:
    """Where the run stands."""

    def __init__(
        self,
        model: Trained,
        train: Examples,
        validation: Examples,
        options: TrainOptions,
        cancelled: Callable[[], bool],
        on_step: Callable[[StepReport], None],
    ) -> None:
        self.model, self.train, self.validation, self.options = model, train, validation, options
        self.cancelled, self.on_step = cancelled, on_step
        self.batch = min(options.batch_size, len(train))
        self.steps = len(train) // self.batch
        self.weights = class_weights(options, train.classes, int(model.output_shape[-1]))
        self.mark = fingerprint(model, train, validation, options)
        self.head = min(options.rates.head_epochs, options.epochs)
        self.saving = Saving(None, 0.0, self.mark)
        self.curve: tuple[Epoch, ...] = ()
        self.kept: tuple[Array, ...] = ()
        self.step, self.spent = 0, Spent()
        """Of the epoch under way."""

    @property
    def number(self) -> int:
        """Of the epoch under way, from 1."""
        return len(self.curve) + 1

    def over(self) -> bool:
        """Whether the last epoch ended, or the run gets no better."""
        patience, images = self.options.patience_epochs, len(self.validation)
        return self.number > self.options.epochs or has_stalled(self.curve, images, patience, self.head)

    def resume(self) -> bool:
        """Go on from the newest checkpoint, or begin; whether there was one."""
        found = self.saving.newest()
        if found is None:
            self.model.compile_for(self.options, head_alone=self.head > 0)
            return False
        self.curve, self.kept = found.curve, found.kept
        self.model.compile_for(self.options, head_alone=self.number <= self.head)
        put_back(self.model, found)
        self.step, self.spent = found.step, found.spent
        return True

    def one_epoch(self) -> Epoch:
        """Train and validate the epoch under way, from its step on."""
        if self.step == 0:
            if 0 < self.head == self.number - 1:
                self.model.compile_for(self.options, head_alone=False)
            self.model.start_epoch()
        started = time.monotonic() - self.spent.seconds
        loss, accuracy = self._steps()
        val = score(self.model, self.validation, self._stop_if_told) if len(self.validation) else (None, None)
        trained_s = max(self.spent.seconds, 1e-9)
        epoch = Epoch(
            epoch=self.number,
            loss=loss,
            accuracy=accuracy,
            val_loss=val[0],
            val_accuracy=val[1],
            seconds=time.monotonic() - started,
            learning_rate=self._rate(self.steps - 1),
            images_per_s=self.steps * self.batch / trained_s,
            data_wait_share=min(1.0, self.spent.waited_s / trained_s),
        )
        self.curve = (*self.curve, epoch)
        self.step, self.spent = 0, Spent()
        if standing(self.curve, len(self.validation)).kept == epoch.epoch:
            self.kept = weights_of(self.model)
        return epoch

    def _steps(self) -> tuple[float, float]:
        """The steps left of the epoch under way; its loss and accuracy."""
        before, started = self.spent, time.monotonic()
        looked, rate = started, math.nan
        feed = Feed(self.train, self.options, self.number, self.batch, self.step)
        for batch in feed:
            self._stop_if_told()
            if rate != self._rate(batch.step):
                self.model.optimizer.learning_rate = rate = self._rate(batch.step)
            weights = None if self.weights is None else self.weights[batch.classes]
            self.model.take_step(batch.images, batch.classes, weights)
            now = time.monotonic()
            self.step = batch.step + 1
            self.spent = Spent(before.seconds + now - started, before.waited_s + feed.waited_s)
            due = self.saving.due()
            if due or now - looked > LOOK_EVERY_S:
                looked = now
                self._look()
            if due:
                self.saving.save(
                    state_of(self.model, self.mark, self.step, self.spent, self.curve, self.kept)
                )
            self.on_step(self._report())
        looks = self._look()
        # Only now the device has done what it was told.
        self.spent = replace(self.spent, seconds=before.seconds + time.monotonic() - started)
        return looks

    def _report(self) -> StepReport:
        seconds = max(self.spent.seconds, 1e-9)
        return StepReport(
            epoch=self.number,
            step=self.step,
            steps=self.steps,
            images_per_s=self.step * self.batch / seconds,
            data_wait_share=min(1.0, self.spent.waited_s / seconds),
            _model=self.model,
        )

    def _look(self) -> tuple[float, float]:
        """Loss and accuracy of the epoch so far."""
        loss, accuracy = (float(metric.result()) for metric in self.model.running)
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss became {loss} in epoch {self.number}",
                f"lower options.learning_rate (now {self.options.learning_rate})",
            )
        return loss, accuracy

    def _rate(self, step: int) -> float:
        return learning_rate(self.options, self.number, step, self.steps, self.curve)

    def _stop_if_told(self) -> None:
        if self.cancelled():
            raise Cancelled

    def finish(self) -> Fit:
        """The kept weights go into the model."""
        kept = standing(self.curve, len(self.validation)).kept
        if kept != len(self.curve):
            self.model.set_weights(self.kept)
        return Fit(self.curve, kept)
