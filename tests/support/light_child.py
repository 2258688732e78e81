"""A training child without a network: steps of a hash chain, with the real checkpoints, log, folder and orders.

For tests of who runs a run and what becomes of it when processes die: TensorFlow takes seconds a life.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from contracts.events import SideCounts
from contracts.manifests import Buckets
from services.runtime.child import child_main
from services.runtime.objectstore import ObjectStore
from services.runtime.orders import Orders
from services.trainer.domain.specs import EpochReport, Outcome, Stopped, Told, TrainResult, TrainSpec
from services.trainer.runs.checkpoints import RunCheckpoints
from services.trainer.runs.folder import alone_in
from services.trainer.runs.log import RunLog
from services.trainer.settings import TrainerSettings

STEP_S = 0.02
STEPS_AN_EPOCH = 5


def work(spec: dict[str, Any], tell: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """``epochs`` times STEPS_AN_EPOCH steps; the model is the chain's last link."""
    settings, asked, orders = TrainerSettings(), TrainSpec.model_validate(spec), Orders()
    store = ObjectStore(settings)
    with alone_in(Path(asked.scratch), 2 * settings.lease_s):
        log = RunLog(store, asked.run_id, settings.log_part_every_s)
        checkpoints = RunCheckpoints(
            store, asked.run_id, Path(asked.scratch) / "checkpoints", settings.checkpoint_store_every_s,
            lambda number: tell(Told(checkpoint=number).model_dump(mode="json")),
        )  # fmt: skip
        found = checkpoints.newest()
        step, link = (0, b"") if found is None else _read(found)
        log.say(f"goes on from step {step}")
        while step < asked.options.epochs * STEPS_AN_EPOCH and not orders.stopped():
            time.sleep(STEP_S)
            step, link = step + 1, hashlib.sha256(link).digest()
            state = step.to_bytes(4, "little") + link
            checkpoints.save(lambda path, state=state: _write(path, state))  # type: ignore[misc]
            if step % STEPS_AN_EPOCH == 0:
                tell(_epoch(step // STEPS_AN_EPOCH, asked.options.epochs))
        checkpoints.close()
        held = store.put(Buckets.MODELS, f"runs/{asked.run_id}/model.keras", link)
        common: dict[str, Any] = {"network": "light", "epochs": step // STEPS_AN_EPOCH, "best_epoch": 1}
        common |= {"best_val_accuracy": 0.5, "history": held, "log": log.finish()}
        if orders.stopped():
            return Outcome(stopped=Stopped(**common)).model_dump(mode="json")
        counts = SideCounts(train=1, validation=1, test=0, benchmark=0, out=0)
        done = TrainResult(model=held, dataset=held, classes=("0", "1"), images=counts, **common)
        return Outcome(train=done).model_dump(mode="json")


def _write(path: Path, state: bytes) -> None:
    part = path.with_suffix(".part")
    part.write_bytes(state)
    part.replace(path)


def _read(path: Path) -> tuple[int, bytes]:
    state = path.read_bytes()
    return int.from_bytes(state[:4], "little"), state[4:]


def _epoch(number: int, epochs: int) -> dict[str, Any]:
    report = EpochReport(
        epoch=number, epochs=epochs, loss=1.0, accuracy=0.5, val_loss=None, val_accuracy=0.5,
        images_per_s=1.0, eta_s=1.0,
    )  # fmt: skip
    return Told(epoch=report).model_dump(mode="json")


if __name__ == "__main__":
    child_main(work)
