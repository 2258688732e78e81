"""A run that is stopped anywhere and resumed ends with the bytes of a run that was left alone."""

from __future__ import annotations

import functools
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts.manifests import Epoch
from services.trainer.fitting.checkpoint import read_checkpoint
from services.trainer.fitting.loop import Fit, StepReport, fit
from tests.support import training_child
from tests.support.local_checkpoints import LocalCheckpoints
from tests.support.tiny_training import asked, colours, same, tiny

pytestmark = pytest.mark.models

WAYS = {
    "adamw, dropout, plateau, half precision": asked(
        epochs=3, optimizer="adamw", weight_decay=0.1, schedule="plateau", plateau_epochs=1,
        mixed_precision=True, label_smoothing=0.1, learning_rate=0.05,
    ),
    "the output layer first, then all at their own rates": asked(
        epochs=3, optimizer="sgd", schedule="cosine", class_weights="balanced", rotate_degrees=10, flip=True,
        rates={"head_epochs": 1, "backbone": 0.3, "layers": {"one": 0.0}},
    ),
}  # fmt: skip
STEPS = 2
"""An epoch, of 8 of 19 images each."""


class Stopped(Exception):
    """Stands for a kill: nothing in the loop catches it."""


class EverySecond(LocalCheckpoints):
    """Keeps the checkpoints of even calls, so that steps have to be taken again."""

    calls = 0

    def save(self, write: Callable[[Path], None]) -> None:
        type(self).calls += 1
        if self.calls % 2 == 0:
            super().save(write)


def trained(
    way: str,
    checkpoints: LocalCheckpoints | None = None,
    most_steps: int = 1000,
    resumed: list[Any] | None = None,
) -> tuple[Fit, list[np.ndarray]]:
    """A fresh model, trained from the newest checkpoint on; stopped after so many of its own steps."""
    taken: list[StepReport] = []

    def on_step(report: StepReport) -> None:
        taken.append(report)
        if len(taken) == most_steps:
            raise Stopped

    def on_resume(curve: tuple[Epoch, ...], step: int) -> None:
        if resumed is not None:
            resumed.append((len(curve), step))

    model = tiny()
    done = fit(
        model, colours(19), colours(6, seed=1), WAYS[way],
        on_step=on_step, on_resume=on_resume, checkpoints=checkpoints, checkpoint_every_s=0,
    )  # fmt: skip
    return done, model.get_weights()


undisturbed = functools.cache(trained)


def check(way: str, checkpoints: LocalCheckpoints) -> None:
    """What goes on from there ends like a run that was left alone."""
    (whole, weights), (done, resumed) = undisturbed(way), trained(way, checkpoints)
    clocks = {"seconds", "images_per_s", "data_wait_share"}
    assert [epoch.model_dump(exclude=clocks) for epoch in done.epochs] == [
        epoch.model_dump(exclude=clocks) for epoch in whole.epochs
    ]
    assert done.best_epoch == whole.best_epoch
    assert same(resumed, weights)


@pytest.mark.parametrize("way", WAYS)
def test_a_run_stopped_after_each_of_its_steps_ends_with_the_same_bytes(way: str, tmp_path: Path) -> None:
    places: list[Any] = []
    for _ in range(STEPS * WAYS[way].epochs - 1):
        with pytest.raises(Stopped):
            trained(way, LocalCheckpoints(tmp_path), most_steps=1, resumed=places)
    assert places == [(0, 1), (0, 2), (1, 1), (1, 2)]
    check(way, LocalCheckpoints(tmp_path))


def test_steps_after_the_newest_checkpoint_are_taken_again(tmp_path: Path) -> None:
    way, places = next(iter(WAYS)), list[Any]()
    with pytest.raises(Stopped):
        trained(way, EverySecond(tmp_path), most_steps=3)
    check(way, EverySecond(tmp_path))
    with pytest.raises(Stopped):
        trained(way, LocalCheckpoints(tmp_path), most_steps=1, resumed=places)
    assert places == [(2, 1)]


def test_a_process_killed_in_the_middle_of_an_epoch_is_taken_up_by_another(tmp_path: Path) -> None:
    way = list(WAYS)[1]
    command = [
        sys.executable,
        "-m",
        "tests.support.training_child",
        str(tmp_path),
        WAYS[way].model_dump_json(),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            assert child.stdout.readline() == "there\n"
        finally:
            child.kill()
    assert child.returncode == -signal.SIGKILL
    state = read_checkpoint(LocalCheckpoints(tmp_path).path)
    assert (state.epoch, state.step) == training_child.LAST
    check(way, LocalCheckpoints(tmp_path))
