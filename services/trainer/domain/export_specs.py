"""What the parent and the exporting and compressing children say to each other, as JSON."""

from __future__ import annotations

from typing import Literal

from contracts.events import CompressedVariant, ModelTrained
from contracts.training import CompressionOptions, TrainOptions
from contracts.values import ModelVersion, ObjectRef, Value

MODEL_FILE = "model.keras"
"""Of an export."""


class Origin(Value):
    """Where a model's line began: the run that had no base."""

    version: ModelVersion
    network: str
    weights: Literal["random", "imagenet"]


class ExportSpec(Value):
    """One model to export; ``report`` is its newest evaluation, if it has one."""

    trained: ModelTrained
    origin: Origin
    options: TrainOptions
    report: ObjectRef | None
    scratch: str


class ExportResult(Value):
    """An export that stands."""

    manifest: ObjectRef
    model: ObjectRef


class CompressSpec(Value):
    """One model to make smaller; ``train_options`` are those of its run."""

    trained: ModelTrained
    request_id: str
    options: CompressionOptions
    train_options: TrainOptions
    scratch: str


class CompressResult(Value):
    """Variants that stand in the store, with what was measured."""

    images: int
    measured_on: Literal["test", "validation"]
    accuracy: float
    variants: tuple[CompressedVariant, ...]
