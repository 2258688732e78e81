"""What a run's log says, in plain words."""

from __future__ import annotations

from collections.abc import Iterator

import keras

from contracts.manifests import DatasetSummary
from services.trainer.domain.specs import EpochReport, TrainSpec
from services.trainer.fitting.loop import StepReport
from services.trainer.runs.machine import describe

CLASSES_NAMED = 20


def start_lines(spec: TrainSpec) -> Iterator[str]:
    """What was asked for, and where it runs."""
    start = (
        f"fine-tunes model {spec.base.version}"
        if spec.base
        else f"starts from {spec.options.weights} weights"
    )
    yield f"run {spec.run_id}: {spec.options.network}, {start}, {spec.image_size_px} px"
    if spec.former_death is not None:
        yield f"the process before this one died: {spec.former_death}"
    yield f"snapshot {spec.snapshot.key}"
    asked = spec.options.model_dump(mode="json", exclude_defaults=True)
    yield "options: " + (", ".join(f"{name} {value}" for name, value in asked.items()) or "all as they are")
    yield f"machine: {describe()}, Keras {keras.__version__} on {keras.backend.backend()}"


def dataset_lines(summary: DatasetSummary) -> Iterator[str]:
    """Counts of sides and of classes."""
    yield (
        f"data set: {summary.images:,} images, {summary.trained_classes} classes; {summary.train:,} train, "
        f"{summary.validation:,} validation, {summary.test:,} test, {summary.benchmark:,} benchmark, "
        f"{summary.out:,} left out"
    )
    trained = [found for found in summary.classes if found.class_index is not None]
    for found in trained[:CLASSES_NAMED]:
        yield f"  {found.class_name}: {found.train} train, {found.validation} validation, {found.test} test"
    if len(trained) > CLASSES_NAMED:
        yield f"  and {len(trained) - CLASSES_NAMED} more classes, see summary.json"


def epoch_line(report: EpochReport, currency: str) -> str:
    """One epoch in one line."""
    parts = [
        f"epoch {report.epoch} of {report.epochs}: loss {report.loss:.4f}, accuracy {report.accuracy:.3f}"
    ]
    if report.val_accuracy is not None and report.val_loss is not None:
        parts.append(f"validation loss {report.val_loss:.4f}, accuracy {report.val_accuracy:.3f}")
    if report.learning_rate is not None:
        parts.append(f"rate {report.learning_rate:.2e}")
    parts.append(f"{report.images_per_s:.0f} images/s")
    if report.data_wait_share is not None:
        parts.append(f"{report.data_wait_share:.1%} waiting for data")
    if report.cpu_share is not None:
        parts.append(f"{report.cpu_share:.1f} cores busy")
    if report.gpu_share is not None:
        parts.append(f"GPU {report.gpu_share:.0%}")
    parts.append(f"{duration(report.eta_s)} left at most")
    if report.cost is not None:
        parts.append(f"cost {report.cost:.2f} of at most {report.cost_estimate:.2f} {currency}")
    return ", ".join(parts)


def step_line(report: StepReport) -> str:
    """How far an epoch is."""
    return (
        f"  epoch {report.epoch}, step {report.step:,} of {report.steps:,}: loss {report.loss:.4f}, "
        f"{report.images_per_s:.0f} images/s, {report.data_wait_share:.1%} waiting for data"
    )


def duration(seconds: float) -> str:
    """``1 h 04 min``, ``12 min 30 s`` or ``8 s``."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"
