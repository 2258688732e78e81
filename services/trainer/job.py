"""The training child: ``python -m services.trainer.job``. Data set, network, fit, artefacts."""

from __future__ import annotations

import logging
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from services.networks.errors import NetworkRefused
from services.runtime.child import ChildFailed, child_main
from services.runtime.model_archive import ModelRefused
from services.runtime.objectstore import ObjectStore
from services.runtime.orders import Orders
from services.runtime.shards import ManifestDamaged, MemberDamaged
from services.trainer.domain.errors import TrainingError
from services.trainer.domain.specs import Outcome, TrainSpec
from services.trainer.fitting.faults import STORE_FAULTS, out_of_memory
from services.trainer.runs.folder import FolderBusy, alone_in
from services.trainer.runs.log import RunLog
from services.trainer.runs.memory import memory_remedy
from services.trainer.runs.training import Run
from services.trainer.settings import TrainerSettings

Tell = Callable[[dict[str, Any]], None]
Stopped = Callable[[], bool]


def work(spec: dict[str, Any], tell: Tell, stopped: Stopped = lambda: False) -> dict[str, Any]:
    """Train what ``spec`` asks for; the outcome as JSON. ``stopped`` ends it after the step in hand."""
    settings, asked = TrainerSettings(), TrainSpec.model_validate(spec)
    if settings.training_memory_bytes is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (settings.training_memory_bytes,) * 2)
    store = ObjectStore(settings)
    try:
        with alone_in(Path(asked.scratch), 2 * settings.lease_s), logged(store, asked, settings) as log:
            outcome = Run(store, asked, settings, log, tell, stopped).result()
    except (*STORE_FAULTS, FolderBusy) as error:
        outcome = Outcome(fault=f"{type(error).__name__}: {error}")
    return outcome.model_dump(mode="json")


@contextmanager
def logged(store: ObjectStore, spec: TrainSpec, settings: TrainerSettings) -> Iterator[RunLog]:
    """The run's log; what ends the run for good is told in words, in the log and to the parent.

    Raises:
        ChildFailed: the run cannot end with a model.
    """
    log = RunLog(store, spec.run_id, settings.log_part_every_s)
    logging.captureWarnings(capture=True)
    logging.getLogger().addHandler(log)
    try:
        yield log
    except STORE_FAULTS as error:
        log.say(f"the object store failed, the run goes on later: {type(error).__name__}: {error}")
        raise
    except Exception as error:
        failed = refused(error, spec)
        if failed is None:
            log.say(f"an error of the trainer itself: {error!r}")
            raise
        log.say(f"the run has failed: {failed.message}", f"what helps: {failed.remedy}")
        log.finish()
        raise failed from error
    finally:
        logging.getLogger().removeHandler(log)
        log.close()


def refused(error: Exception, spec: TrainSpec) -> ChildFailed | None:
    """The sentence and the remedy of an error that trying again would not mend; None for others."""
    match error:
        case TrainingError() | NetworkRefused():
            return ChildFailed(error.error, error.remedy)
        case ManifestDamaged() | MemberDamaged() | ModelRefused():
            remedy = "pack a new snapshot, or start from another base, and train again"
            return ChildFailed(str(error), remedy)
    if not out_of_memory(error):
        return None
    told = f"memory ran out: {str(error)[:500] or type(error).__name__}"
    return ChildFailed(told, memory_remedy(spec.options))


def main() -> None:
    """The child's whole life."""

    def ordered(spec: dict[str, Any], tell: Tell) -> dict[str, Any]:
        return work(spec, tell, Orders().stopped)

    child_main(ordered)


if __name__ == "__main__":
    main()
