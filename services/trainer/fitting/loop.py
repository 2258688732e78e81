"""The training loop: deterministic for a seed, good weights kept, one report an epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from contracts.commands import TrainOptions
from contracts.manifests import Epoch
from services.trainer.domain.errors import TrainingError
from services.trainer.domain.selection import worse_by_more_than_luck
from services.trainer.fitting.augmentation import Augmentation, Pixels

SCORING_BATCH = 250
"""Images scored at a time; the last batch is padded to it, so that nothing is traced twice."""

Classes = NDArray[np.int64]


@dataclass(frozen=True)
class Examples:
    """uint8 images [N, S, S, 3] with their class indices [N]."""

    images: Pixels
    classes: Classes

    def __len__(self) -> int:
        return len(self.classes)


@dataclass(frozen=True)
class Fit:
    """A finished run: the model holds the weights of ``best_epoch``."""

    epochs: tuple[Epoch, ...]
    best_epoch: int


def fit(
    model: keras.Model,
    train: Examples,
    validation: Examples,
    options: TrainOptions,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Fit:
    """Train ``model`` in place and leave it with the weights of its best epoch.

    The kept epoch is the last whose validation accuracy is not worse than the best by more than
    luck (domain/selection.py); without a validation side, the one with the lowest loss.

    Raises:
        TrainingError: the loss is no number any more.
    """
    batch = min(options.batch_size, len(train))
    steps = len(train) // batch
    model.compile(
        optimizer=keras.optimizers.Adam(_schedule(options, steps)),
        loss=keras.losses.SparseCategoricalCrossentropy(),
        metrics=["accuracy"],
    )
    curve: list[Epoch] = []
    best, improved_at, kept_epoch, kept = -math.inf, 0, 0, model.get_weights()
    for number in range(1, options.epochs + 1):
        epoch = _one_epoch(model, train, validation, options, number, batch)
        curve.append(epoch)
        on_epoch(epoch)
        merit = -epoch.loss if epoch.val_accuracy is None else epoch.val_accuracy
        if merit > best:
            best, improved_at = merit, number
        if improved_at == number or _as_good(epoch, best, len(validation)):
            kept_epoch, kept = number, model.get_weights()
        if options.patience_epochs and number - improved_at >= options.patience_epochs:
            break
    model.set_weights(kept)
    return Fit(tuple(curve), kept_epoch)


def _as_good(epoch: Epoch, best: float, images: int) -> bool:
    accuracy = epoch.val_accuracy
    return accuracy is not None and not worse_by_more_than_luck(accuracy, best, images)


def _schedule(options: TrainOptions, steps: int) -> float | keras.optimizers.schedules.LearningRateSchedule:
    if options.schedule == "constant":
        return options.learning_rate
    total = steps * options.epochs
    # A tenth of the run rises to the full rate: a new output layer's first gradients are noise.
    warm_up = max(1, total // 10)
    return keras.optimizers.schedules.CosineDecay(
        options.learning_rate / 10,
        max(1, total - warm_up),
        alpha=0.01,
        warmup_target=options.learning_rate,
        warmup_steps=warm_up,
    )


def _one_epoch(
    model: keras.Model, train: Examples, validation: Examples, options: TrainOptions, number: int, batch: int
) -> Epoch:
    started = time.monotonic()
    steps = [
        model.train_on_batch(part.images, part.classes, return_dict=True)
        for part in _batches(train, options, number, batch)
    ]
    # Batches are of one size, so the mean of their means is the epoch's.
    loss = float(np.mean([step["loss"] for step in steps]))
    if not math.isfinite(loss):
        raise TrainingError(
            f"the loss became {loss} in epoch {number}",
            f"lower options.learning_rate (now {options.learning_rate})",
        )
    val_loss, val_accuracy = score(model, validation) if len(validation) else (None, None)
    return Epoch(
        epoch=number,
        loss=loss,
        accuracy=float(np.mean([step["accuracy"] for step in steps])),
        val_loss=val_loss,
        val_accuracy=val_accuracy,
        seconds=time.monotonic() - started,
    )


def _batches(train: Examples, options: TrainOptions, number: int, batch: int) -> Iterator[Examples]:
    """Batches of equal size in an order that depends on (seed, epoch) alone.

    The remainder is left to another epoch: a smaller last batch would be traced again. One
    thread prepares the next batch while the network works on this one.
    """
    random = np.random.default_rng([options.seed % 2**32, number])
    order = random.permutation(len(train))
    change = Augmentation(options.flip, options.rotate_degrees, options.zoom_share, options.shift_share)

    def prepare(step: int) -> Examples:
        chosen = order[step * batch : (step + 1) * batch]
        own = np.random.default_rng([options.seed % 2**32, number, step])
        return Examples(change.apply(train.images[chosen], own), train.classes[chosen])

    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(prepare, 0)
        for step in range(len(train) // batch):
            part = coming.result()
            if step + 1 < len(train) // batch:
                coming = pool.submit(prepare, step + 1)
            yield part


def predict(model: keras.Model, images: Pixels) -> NDArray[np.float32]:
    """Scores [N, classes] of uint8 images [N, S, S, 3]."""
    parts = []
    for start in range(0, len(images), SCORING_BATCH):
        part = images[start : start + SCORING_BATCH]
        short = SCORING_BATCH - len(part)
        padded = np.pad(part, ((0, short), (0, 0), (0, 0), (0, 0)))
        parts.append(np.asarray(model.predict_on_batch(padded))[: len(part)])
    return np.concatenate(parts)


def score(model: keras.Model, examples: Examples) -> tuple[float, float]:
    """Mean log loss and accuracy."""
    scores = predict(model, examples.images).astype(np.float64)
    true = scores[np.arange(len(examples)), examples.classes]
    accuracy = float((scores.argmax(axis=1) == examples.classes).mean())
    return float(-np.log(np.clip(true, 1e-7, 1.0)).mean()), accuracy
