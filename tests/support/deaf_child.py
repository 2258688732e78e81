"""A training child that writes its log, tells an epoch, and then hears no order; it has to be killed."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from services.runtime.child import child_main
from services.runtime.objectstore import ObjectStore
from services.trainer.domain.specs import EpochReport, Told
from services.trainer.runs.log import RunLog
from services.trainer.settings import TrainerSettings

OFTEN_S = 0.05


def work(spec: dict[str, Any], tell: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Never ends by itself."""
    RunLog(ObjectStore(TrainerSettings()), spec["run_id"], OFTEN_S).say("the last words")
    epoch = EpochReport(
        epoch=1,
        epochs=2,
        loss=1.0,
        accuracy=0.5,
        val_loss=None,
        val_accuracy=None,
        images_per_s=1.0,
        eta_s=1.0,
    )
    tell(Told(epoch=epoch).model_dump(mode="json"))
    while True:
        signal.pause()


if __name__ == "__main__":
    child_main(work)
