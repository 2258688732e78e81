"""Imperative requests. ``request_id`` (or ``run_id``) is made by the sender: a retry repeats it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from contracts.message import Message, UtcDatetime
from contracts.values import ImageId, Label, LabelKind, ModelVersion, PersonName, Reason, Value

RequestId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{4,64}$")]


class AssignLabel(Message):
    """Give an image a label, or change it. Heard by ingest."""

    name = "label.assign"
    key_fields = ("request_id",)

    request_id: RequestId
    image_id: ImageId
    label: Label
    kind: LabelKind | None = None
    by: PersonName
    reason: Reason | None = None
    requested_at: UtcDatetime


class RequestSnapshot(Message):
    """Pack the library as it is now. Heard by ingest."""

    name = "library.snapshot-requested"
    key_fields = ("request_id",)

    request_id: RequestId
    by: PersonName
    requested_at: UtcDatetime


class DatasetRules(Value):
    """Numbers of domain.md section 2; a throw-away run lowers some."""

    minimum_per_class: Annotated[int, Field(ge=1)] = 40
    maximum_per_class: Annotated[int, Field(ge=1)] = 125
    staged_cap: Annotated[int, Field(ge=0)] = 60
    train_share: Annotated[float, Field(gt=0, le=1)] = 0.9
    validation_share: Annotated[float, Field(ge=0, lt=1)] = 0.1


class TrainOptions(Value):
    """How to fit; the defaults suit a small library on a CPU."""

    network: str = "small_cnn"
    epochs: Annotated[int, Field(ge=1, le=1000)] = 30
    batch_size: Annotated[int, Field(ge=1, le=4096)] = 50
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-3
    patience_epochs: Annotated[int, Field(ge=0)] = 0
    """Stop after so many epochs without a better validation accuracy; 0 never stops early."""
    flip: bool = True
    rotate_degrees: Annotated[float, Field(ge=0, le=45)] = 8.0
    zoom_share: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    shift_share: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Largest shift as a share of the image's side."""
    schedule: Literal["constant", "cosine"] = "constant"
    """``cosine`` warms up over a tenth of the run, then falls to a hundredth of the learning rate."""
    seed: int = 7


class RequestTraining(Message):
    """Train a model on a snapshot. Heard by trainer.

    ``base`` is ``newest`` (fine-tune the newest registered model, or start from random weights
    when there is none), ``scratch``, or a model version. A ``trial`` registers no model.
    """

    name = "train.requested"
    key_fields = ("run_id",)

    run_id: RequestId
    snapshot_id: str
    base: Annotated[str, Field(pattern=r"^(newest|scratch|[0-9]{3,9})$")] = "newest"
    rules: DatasetRules = DatasetRules()
    options: TrainOptions = TrainOptions()
    throw_away: bool = False
    trial: bool = False
    by: PersonName
    requested_at: UtcDatetime


class RequestEvaluation(Message):
    """Score a registered model again. Heard by evaluator."""

    name = "model.evaluate-requested"
    key_fields = ("request_id",)

    request_id: RequestId
    model_version: ModelVersion
    by: PersonName
    requested_at: UtcDatetime


class RequestExport(Message):
    """Export a model whatever its gate says; ``reason`` is recorded. Heard by trainer."""

    name = "model.export-requested"
    key_fields = ("request_id",)

    request_id: RequestId
    model_version: ModelVersion
    by: PersonName
    reason: Annotated[str, Field(min_length=1, max_length=2000)]
    requested_at: UtcDatetime


class RequestIdentification(Message):
    """Identify the unlabelled images of a snapshot (the newest when none is named). Heard by bulkid."""

    name = "bulk.identify-requested"
    key_fields = ("request_id",)

    request_id: RequestId
    model_version: ModelVersion
    snapshot_id: str | None = None
    by: PersonName
    requested_at: UtcDatetime
