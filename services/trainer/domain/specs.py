"""What the parent and its children say to each other, as JSON."""

from __future__ import annotations

from contracts.commands import DatasetRules, TrainOptions
from contracts.events import SideCounts
from contracts.values import ModelVersion, ObjectRef, Value


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


class EpochReport(Value):
    """Progress of a run."""

    epoch: int
    epochs: int
    loss: float
    accuracy: float
    val_loss: float | None
    val_accuracy: float | None
    images_per_s: float
    eta_s: float


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


class ExportSpec(Value):
    """One model to export; ``report`` is its newest evaluation, if it has one."""

    version: ModelVersion
    model: ObjectRef
    dataset: ObjectRef
    report: ObjectRef | None
    classes: tuple[str, ...]
    image_size_px: int
    scratch: str


class ExportResult(Value):
    """An export that stands."""

    manifest: ObjectRef
    model: ObjectRef


class Outcome(Value):
    """What a child hands back: a result, or a fault of the store that is worth another try."""

    train: TrainResult | None = None
    export: ExportResult | None = None
    fault: str | None = None
