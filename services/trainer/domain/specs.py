"""What the parent and its children say to each other, as JSON."""

from __future__ import annotations

from contracts.events import SideCounts
from contracts.training import DatasetRules, TrainOptions
from contracts.values import ModelVersion, ObjectRef, Value
from services.trainer.domain.export_specs import CompressResult, ExportResult


class Base(Value):
    """The model that a run starts from."""

    version: ModelVersion
    network: str
    model: ObjectRef


class TrainSpec(Value):
    """One run. ``ancestors`` are the data sets of the base and of what it grew from.

    ``taxonomy`` is the document that came with the snapshot, of version ``packed_version``.
    """

    run_id: str
    snapshot: ObjectRef
    taxonomy: ObjectRef | None = None
    packed_version: int = 0
    taxonomy_version: int | None = None
    image_size_px: int
    base: Base | None
    ancestors: tuple[ObjectRef, ...]
    rules: DatasetRules
    options: TrainOptions
    scratch: str
    """Folder of the run on this machine, kept until the run has ended."""
    former_death: str | None = None
    """How the child before this one died, for the run's log."""


class EpochReport(Value):
    """Progress of a run; see TrainProgressed."""

    epoch: int
    epochs: int
    loss: float
    accuracy: float
    val_loss: float | None
    val_accuracy: float | None
    images_per_s: float
    eta_s: float
    learning_rate: float | None = None
    data_wait_share: float | None = None
    cpu_share: float | None = None
    gpu_share: float | None = None
    cost: float | None = None
    cost_estimate: float | None = None


class Told(Value):
    """What a training child says while it works: an epoch is over, or it could go on from a checkpoint."""

    epoch: EpochReport | None = None
    checkpoint: int | None = None


class TrainResult(Value):
    """A run that ended with a model."""

    network: str
    classes: tuple[str, ...]
    images: SideCounts
    model: ObjectRef
    dataset: ObjectRef
    history: ObjectRef
    epochs: int
    best_epoch: int
    best_val_accuracy: float | None
    summary: ObjectRef | None = None
    curves: ObjectRef | None = None
    log: ObjectRef | None = None
    seconds: float | None = None
    cost: float | None = None


class Stopped(Value):
    """A run that was told to stop, and did: its curve so far, none when no epoch was over."""

    network: str
    epochs: int
    best_epoch: int
    best_val_accuracy: float | None
    history: ObjectRef
    log: ObjectRef | None = None


class Outcome(Value):
    """What a child hands back: a result, or a fault of the store that is worth another try."""

    train: TrainResult | None = None
    stopped: Stopped | None = None
    export: ExportResult | None = None
    compress: CompressResult | None = None
    fault: str | None = None
