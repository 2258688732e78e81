"""Batches of one epoch, prepared ahead by threads, in an order that depends on (seed, epoch) alone."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from contracts.training import TrainOptions
from services.runtime.cores import usable_cores
from services.trainer.fitting.augmentation import Augmentation
from services.trainer.fitting.feeding.examples import Batch, Examples

T = TypeVar("T")

SPARE = 1
"""Prepared batches beyond one a worker: a worker never waits for the network to take its batch."""
AHEAD_BYTES = 4 * 2**30
"""Of prepared batches; large batches of large images are prepared by fewer workers."""


class Feed:
    """Iterates the batches of ``epoch`` from ``first_step`` on; all are of size ``batch``.

    The remainder is left to another epoch: a smaller last batch would be traced again. Memory
    holds ``workers`` + SPARE + 1 batches at most, and AHEAD_BYTES of them (but two); leaving the
    iteration ends the threads. What a thread raises is raised here, in its batch's turn.

    Args:
        epoch: from 1.
        workers: threads that prepare batches; as many as there are cores unless given.
    """

    def __init__(
        self,
        examples: Examples,
        options: TrainOptions,
        epoch: int,
        batch: int,
        first_step: int = 0,
        workers: int | None = None,
    ) -> None:
        self.steps = len(examples) // batch
        self.waited_s = 0.0
        """How long the consumer has waited for batches."""
        self._examples, self._epoch, self._batch, self._first = examples, epoch, batch, first_step
        self._seed = options.seed % 2**32
        self._change = Augmentation(
            options.flip, options.rotate_degrees, options.zoom_share, options.shift_share
        )
        self._order = np.random.default_rng([self._seed, epoch]).permutation(len(examples))
        self._depth = _depth(examples, batch, workers)

    def __iter__(self) -> Iterator[Batch]:
        return _ahead(self._prepare, range(self._first, self.steps), self._depth, self._wait)

    def _prepare(self, step: int) -> Batch:
        chosen = self._order[step * self._batch : (step + 1) * self._batch]
        own = np.random.default_rng([self._seed, self._epoch, step])
        images = self._change.apply(self._examples.pixels(chosen), own)
        return Batch(images, self._examples.classes[chosen], step)

    def _wait(self, seconds: float) -> None:
        self.waited_s += seconds


def in_order(examples: Examples, batch: int, workers: int | None = None) -> Iterator[Batch]:
    """All images once, as they are, in batches of ``batch``; the last one may be smaller."""

    def prepare(step: int) -> Batch:
        chosen = np.arange(step * batch, min((step + 1) * batch, len(examples)))
        return Batch(examples.pixels(chosen), examples.classes[chosen], step)

    steps = -(-len(examples) // batch)
    return _ahead(prepare, range(steps), _depth(examples, batch, workers), lambda seconds: None)


def _depth(examples: Examples, batch: int, workers: int | None) -> int:
    """How many batches are prepared at once; each takes a worker."""
    none: NDArray[np.int64] = np.empty(0, np.int64)
    batch_bytes = batch * int(np.prod(examples.pixels(none).shape[1:]))
    return max(1, min(workers or usable_cores(), AHEAD_BYTES // max(1, batch_bytes) - SPARE))


def _ahead(
    prepare: Callable[[int], T], steps: range, workers: int, waited: Callable[[float], None]
) -> Iterator[T]:
    """``prepare`` of each step, in order, by threads that run ahead of the consumer."""
    coming: deque[Future[T]] = deque()
    left = iter(steps)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="feed")
    try:
        coming.extend(pool.submit(prepare, step) for step in islice(left, workers + SPARE))
        while coming:
            started = time.perf_counter()
            ready = coming.popleft().result()
            waited(time.perf_counter() - started)
            coming.extend(pool.submit(prepare, step) for step in islice(left, 1))
            yield ready
    finally:
        pool.shutdown(cancel_futures=True)
