"""One run from its data set to its artefacts, going on from its newest checkpoint, if it has one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from contracts.manifests import Buckets, DatasetRow, Epoch, History
from contracts.values import ObjectRef, Side
from services.networks import archive
from services.runtime.objectstore import ObjectStore
from services.trainer.domain.specs import EpochReport, Outcome, Stopped, Told, TrainResult, TrainSpec
from services.trainer.domain.summary import classes_of, counts_of, summarise
from services.trainer.fitting.checkpoint import CheckpointDamaged, read_checkpoint
from services.trainer.fitting.determinism import make_deterministic
from services.trainer.fitting.feeding import limits_of, open_sides
from services.trainer.fitting.loop import Cancelled, Fit, StepReport, fit
from services.trainer.fitting.manifest import write_dataset
from services.trainer.runs.checkpoints import RunCheckpoints
from services.trainer.runs.curves import draw
from services.trainer.runs.log import RunLog
from services.trainer.runs.machine import Meter, cost_of
from services.trainer.runs.saying import dataset_lines, epoch_line, start_lines, step_line
from services.trainer.runs.starting import dataset_rows, network, snapshot_rows
from services.trainer.settings import TrainerSettings

JSON = "application/json"
PARQUET = "application/vnd.apache.parquet"
SAY_EVERY_S = 30.0
"""Between two lines of the log within an epoch."""
Tell = Callable[[dict[str, Any]], None]


class Run:
    """The work of one training child; every artefact is stored under ``runs/<run_id>/``."""

    def __init__(
        self,
        store: ObjectStore,
        spec: TrainSpec,
        settings: TrainerSettings,
        log: RunLog,
        tell: Tell,
        stopped: Callable[[], bool],
    ) -> None:
        self._store, self._spec, self._settings = store, spec, settings
        self._log, self._tell, self._stopped = log, tell, stopped
        self._meter = Meter()
        self._curve: dict[int, Epoch] = {}
        self._said_at = time.monotonic()

    def result(self) -> Outcome:
        """A model, or the curve of a run that was told to stop."""
        spec, log = self._spec, self._log
        log.say(*start_lines(spec))
        snapshot = snapshot_rows(self._store, spec)
        rows = dataset_rows(self._store, spec, snapshot)
        classes = classes_of(rows)
        summary = summarise(rows, snapshot, spec.rules)
        log.say(*dataset_lines(summary))
        kept = {
            "classes": classes,
            "images": counts_of(rows),
            "dataset": self._put("dataset.parquet", write_dataset(rows), PARQUET),
            "summary": self._put("summary.json", summary.model_dump_json(indent=1).encode(), JSON),
        }
        make_deterministic(spec.options.seed, spec.options.deterministic)
        model = network(self._store, spec, classes, self._settings.weights_folder)
        log.say(f"network {spec.options.network}: {model.count_params():,} parameters")
        checkpoints = RunCheckpoints(
            self._store, spec.run_id, Path(spec.scratch) / "checkpoints",
            self._settings.checkpoint_store_every_s,
            lambda number: self._tell(Told(checkpoint=number).model_dump(mode="json")),
        )  # fmt: skip
        self._go_on_from(checkpoints.newest())
        try:
            done = self._fit(model, rows, checkpoints)
        except Cancelled:
            log.say("told to stop: the run ends here")
            return Outcome(stopped=self._store_stopped())
        finally:
            checkpoints.close()
        return Outcome(train=self._store_run(model, done, kept))

    def _go_on_from(self, checkpoint: Path | None) -> None:
        """What was trained before counts in costs, and in the curve of a run that is stopped."""
        if checkpoint is None:
            return
        try:
            found = read_checkpoint(checkpoint)
        except (CheckpointDamaged, OSError):  # the loop says so, and begins anew
            return
        self._curve = {epoch.epoch: epoch for epoch in found.curve}
        self._log.say(f"goes on from the checkpoint after step {found.step} of epoch {found.epoch}")

    def _fit(self, model: keras.Model, rows: Sequence[DatasetRow], checkpoints: RunCheckpoints) -> Fit:
        spec, settings = self._spec, self._settings
        fetching = open_sides(
            self._store,
            rows,
            spec.image_size_px,
            settings.work_dir,
            limits_of(settings),
            on_read=self._on_read,
        )
        with fetching as sides:
            return fit(
                model,
                sides[Side.TRAIN],
                sides[Side.VALIDATION],
                spec.options,
                on_epoch=self._on_epoch,
                on_step=self._on_step,
                checkpoints=checkpoints,
                checkpoint_every_s=settings.checkpoint_every_s,
                cancelled=self._stopped,
            )

    def _on_read(self, _here: int, _wanted: int) -> None:
        if self._stopped():
            raise Cancelled

    def _on_step(self, report: StepReport) -> None:
        if time.monotonic() - self._said_at > SAY_EVERY_S:  # looking at the loss makes the device wait
            self._said_at = time.monotonic()
            self._log.say(step_line(report))

    def _on_epoch(self, epoch: Epoch) -> None:
        self._said_at = time.monotonic()
        self._curve[epoch.epoch] = epoch
        report = self._report(epoch)
        self._tell(Told(epoch=report).model_dump(mode="json"))
        self._log.say(epoch_line(report, self._settings.currency))

    def _report(self, epoch: Epoch) -> EpochReport:
        price, epochs = self._settings.cost_per_hour, self._spec.options.epochs
        trained_s = sum(known.seconds for known in self._curve.values())
        eta_s = (epochs - epoch.epoch) * epoch.seconds
        use = self._meter.look()
        return EpochReport(
            **epoch.model_dump(exclude={"seconds"}),
            epochs=epochs,
            eta_s=eta_s,
            cpu_share=use.cpu,
            gpu_share=use.gpu,
            cost=cost_of(trained_s, price),
            cost_estimate=cost_of(trained_s + eta_s, price),
        )

    def _store_run(self, model: keras.Model, done: Fit, kept: Mapping[str, Any]) -> TrainResult:
        spec = self._spec
        path = Path(spec.scratch) / "model.keras"
        archive.save(model, path)
        seconds = sum(epoch.seconds for epoch in done.epochs)
        best = done.epochs[done.best_epoch - 1]
        self._log.say(
            f"kept epoch {done.best_epoch} of {len(done.epochs)}"
            + ("" if best.val_accuracy is None else f", validation accuracy {best.val_accuracy:.3f}")
        )
        title = f"{spec.options.network}, run {spec.run_id}"
        return TrainResult(
            **kept,
            network=spec.options.network,
            model=self._store.put_file(Buckets.MODELS, self._key("model.keras"), path),
            history=self._history(done.epochs),
            curves=self._put("curves.png", draw(done.epochs, done.best_epoch, title), "image/png"),
            log=self._log.finish(),
            epochs=len(done.epochs),
            best_epoch=done.best_epoch,
            best_val_accuracy=best.val_accuracy,
            seconds=seconds,
            cost=cost_of(seconds, self._settings.cost_per_hour),
        )

    def _store_stopped(self) -> Stopped:
        curve = [self._curve[number] for number in sorted(self._curve)]
        best = max(curve, key=lambda epoch: epoch.val_accuracy or 0.0, default=None)
        return Stopped(
            network=self._spec.options.network,
            epochs=len(curve),
            best_epoch=best.epoch if best else 0,
            best_val_accuracy=best.val_accuracy if best else None,
            history=self._history(curve),
            log=self._log.finish(),
        )

    def _history(self, epochs: Sequence[Epoch]) -> ObjectRef:
        base = self._spec.base.version if self._spec.base else None
        history = History(run_id=self._spec.run_id, base_version=base, epochs=tuple(epochs))
        return self._put("history.json", history.model_dump_json(indent=1).encode(), JSON)

    def _put(self, name: str, data: bytes, content_type: str) -> ObjectRef:
        return self._store.put(Buckets.MODELS, self._key(name), data, content_type)

    def _key(self, name: str) -> str:
        return f"runs/{self._spec.run_id}/{name}"
