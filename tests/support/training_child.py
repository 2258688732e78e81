"""``python -m tests.support.training_child FOLDER OPTIONS``: trains, saves each step, waits to be killed."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from contracts.training import TrainOptions
from services.trainer.fitting.loop import StepReport, fit
from tests.support.local_checkpoints import LocalCheckpoints
from tests.support.tiny_training import colours, tiny

LAST = (2, 1)
"""Epoch and step after which it takes no more."""


def wait_there(report: StepReport) -> None:
    """Stand still in the middle of an epoch."""
    if (report.epoch, report.step) == LAST:
        print("there", flush=True)
        signal.pause()


if __name__ == "__main__":
    fit(
        tiny(),
        colours(19),
        colours(6, seed=1),
        TrainOptions.model_validate_json(sys.argv[2]),
        on_step=wait_there,
        checkpoints=LocalCheckpoints(Path(sys.argv[1])),
        checkpoint_every_s=0,
    )
