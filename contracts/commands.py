"""Imperative requests. ``request_id`` (or ``run_id``) is made by the sender: a retry repeats it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from contracts.message import Message, UtcDatetime
from contracts.taxonomy import ClassName
from contracts.training import Choices, CompressionOptions, DatasetRules, Span, TrainOptions
from contracts.values import (
    BenchmarkName,
    ImageId,
    Label,
    LabelKind,
    ModelVersion,
    PersonName,
    Reason,
    Suggestion,
)

RequestId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{4,64}$")]


ImageIds = Annotated[tuple[ImageId, ...], Field(min_length=1, max_length=1000)]


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
    suggestion: Suggestion | None = None
    """What the person was shown; when absent, what ingest last heard a model say of the image."""
    change_id: RequestId | None = None
    """Ordered together with other changes; the request's own id when absent."""


class AssignLabels(Message):
    """Give many images one label. All of them or, when one is unknown, none. Heard by ingest."""

    name = "label.assign-many"
    key_fields = ("request_id",)

    request_id: RequestId
    image_ids: ImageIds
    label: Label
    kind: LabelKind | None = None
    by: PersonName
    reason: Reason | None = None
    requested_at: UtcDatetime
    change_id: RequestId | None = None
    """A change of more images than one message holds is told in several with one ``change_id``."""


class UndoLabels(Message):
    """Bring every label that ``change_id`` set back to what it was. Heard by ingest.

    An image whose label was changed again since is left as it is. The history keeps all of it.
    """

    name = "label.undo"
    key_fields = ("request_id",)

    request_id: RequestId
    change_id: RequestId
    by: PersonName
    reason: Reason | None = None
    requested_at: UtcDatetime


class GiveOpinion(Message):
    """Say what label an image should have without changing it. Heard by ingest."""

    name = "label.give-opinion"
    key_fields = ("request_id",)

    request_id: RequestId
    image_id: ImageId
    label: Label
    kind: LabelKind | None = None
    by: PersonName
    reason: Reason | None = None
    requested_at: UtcDatetime


class RequestDoubleCheck(Message):
    """Queue images for another look at their label. Heard by ingest."""

    name = "label.double-check"
    key_fields = ("request_id",)

    request_id: RequestId
    image_ids: ImageIds
    by: PersonName
    reason: Reason
    requested_at: UtcDatetime


class CloseDoubleCheck(Message):
    """End the double-check of images whose label stays; a new label ends it by itself. Heard by ingest."""

    name = "label.double-checked"
    key_fields = ("request_id",)

    request_id: RequestId
    image_ids: ImageIds
    verdict: Literal["keep", "unsure"] = "keep"
    by: PersonName
    reason: Reason | None = None
    requested_at: UtcDatetime


class AssignBenchmark(Message):
    """Put images into a benchmark set, or (``benchmark`` None) take them out of theirs. Heard by ingest."""

    name = "benchmark.assign"
    key_fields = ("request_id",)

    request_id: RequestId
    image_ids: ImageIds
    benchmark: BenchmarkName | None
    by: PersonName
    reason: Reason | None = None
    requested_at: UtcDatetime


class MergeClasses(Message):
    """Train ``members`` (sub-classes with all below them, or merged classes) as one class ``into``.

    Heard by ingest.
    """

    name = "class.merge"
    key_fields = ("request_id",)

    request_id: RequestId
    into: ClassName
    members: Annotated[tuple[ClassName, ...], Field(min_length=1, max_length=200)]
    by: PersonName
    reason: Reason | None = None
    requested_at: UtcDatetime


class SplitClass(Message):
    """Take a merged class apart; all its images go to double-check. Heard by ingest."""

    name = "class.split"
    key_fields = ("request_id",)

    request_id: RequestId
    class_name: ClassName
    by: PersonName
    reason: Reason | None = None
    requested_at: UtcDatetime


class RenameClass(Message):
    """Rename a sub-class and all below it; uploads that still say the old name get the new one.

    Heard by ingest.
    """

    name = "class.rename"
    key_fields = ("request_id",)

    request_id: RequestId
    old: ClassName
    new: ClassName
    by: PersonName
    reason: Reason | None = None
    requested_at: UtcDatetime


class UndoTaxonomy(Message):
    """Reverse the newest change of the taxonomy by another one. Heard by ingest.

    ``version`` is the version the sender saw; refused when a newer one exists.
    """

    name = "class.undo"
    key_fields = ("request_id",)

    request_id: RequestId
    version: Annotated[int, Field(ge=1)]
    by: PersonName
    reason: Reason | None = None
    requested_at: UtcDatetime


class RequestReconcile(Message):
    """Take in what lies in the drop bucket and was never announced. Heard by ingest."""

    name = "library.reconcile-requested"
    key_fields = ("request_id",)

    request_id: RequestId
    by: PersonName
    requested_at: UtcDatetime


class RequestSnapshot(Message):
    """Pack the library as it is now. Heard by ingest."""

    name = "library.snapshot-requested"
    key_fields = ("request_id",)

    request_id: RequestId
    by: PersonName
    requested_at: UtcDatetime


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
    search_id: RequestId | None = None
    """The search that this trial belongs to."""
    trial_number: Annotated[int, Field(ge=0)] | None = None
    taxonomy_version: Annotated[int, Field(ge=0)] | None = None
    """Classes as that version of the taxonomy says; the snapshot's own when absent."""
    by: PersonName
    requested_at: UtcDatetime


class CancelTraining(Message):
    """Stop a run, or all trials of a search: within a step, without a model. Heard by trainer."""

    name = "train.cancel-requested"
    key_fields = ("request_id",)

    request_id: RequestId
    run_id: RequestId
    """Of the run, or of the search."""
    by: PersonName
    reason: Reason | None = None
    requested_at: UtcDatetime


class RequestSearch(Message):
    """Look for good options: train trials, tell the best. Heard by trainer.

    ``space`` has for each option (a field of TrainOptions, or ``rates.NAME``) the values to try.
    """

    name = "train.search-requested"
    key_fields = ("search_id",)

    search_id: RequestId
    snapshot_id: str
    base: Annotated[str, Field(pattern=r"^(newest|scratch|[0-9]{3,9})$")] = "newest"
    rules: DatasetRules = DatasetRules()
    options: TrainOptions = TrainOptions()
    """Of all trials, where ``space`` says nothing."""
    space: Annotated[dict[str, Span | Choices], Field(min_length=1, max_length=20)]
    method: Literal["grid", "random", "bayesian"] = "bayesian"
    trials: Annotated[int, Field(ge=1, le=1000)] = 20
    """At most; a grid ends when it has tried everything."""
    parallel: Annotated[int, Field(ge=1, le=64)] = 1
    """Trials asked for at once: as many as there are trainers."""
    prune: bool = True
    """Stop a trial whose validation accuracy is below the median of the others at the same epoch."""
    seed: int = 7
    taxonomy_version: Annotated[int, Field(ge=0)] | None = None
    by: PersonName
    requested_at: UtcDatetime


class RequestCompression(Message):
    """Make smaller variants of a model and measure them on its test set. Heard by trainer."""

    name = "model.compress-requested"
    key_fields = ("request_id",)

    request_id: RequestId
    model_version: ModelVersion
    options: CompressionOptions = CompressionOptions()
    by: PersonName
    requested_at: UtcDatetime


class RequestEvaluation(Message):
    """Score a registered model again. Heard by evaluator.

    With ``taxonomy_version`` or ``dataset_of`` the answer is model.rescored, which changes no gate.
    """

    name = "model.evaluate-requested"
    key_fields = ("request_id",)

    request_id: RequestId
    model_version: ModelVersion
    by: PersonName
    requested_at: UtcDatetime
    taxonomy_version: Annotated[int, Field(ge=0)] | None = None
    """Measure by the classes of that version; the model's own when absent."""
    dataset_of: ModelVersion | None = None
    """Score the images of that model's data set; its own when absent."""


class RequestComparison(Message):
    """Compare two models on the same images. Heard by evaluator."""

    name = "model.compare-requested"
    key_fields = ("request_id",)

    request_id: RequestId
    model_a: ModelVersion
    """The one to be measured against, such as the model in production."""
    model_b: ModelVersion
    dataset_of: ModelVersion | None = None
    """The images: of that model's data set; ``model_b``'s when absent."""
    taxonomy_version: Annotated[int, Field(ge=0)] | None = None
    """The classes: of that version of the taxonomy; that of the data set's snapshot when absent."""
    by: PersonName
    requested_at: UtcDatetime

    @model_validator(mode="after")
    def _names_two_models(self) -> Self:
        if self.model_a == self.model_b:
            raise ValueError("model_a and model_b must be two models")
        return self


class SetConfused(Message):
    """Say what mixing up two classes costs, 0..1, or (``weight`` None) that it costs as any mistake, 1.

    Heard by evaluator; the table of confused pairs gets a new version.
    """

    name = "class.set-confused"
    key_fields = ("request_id",)

    request_id: RequestId
    one: ClassName
    other: ClassName
    weight: Annotated[float, Field(ge=0.0, le=1.0)] | None
    by: PersonName
    reason: Reason | None = None
    requested_at: UtcDatetime


class RequestReview(Message):
    """Send a round of images to double-check, those with the most doubtful labels first. Heard by evaluator.

    Of one class with ``class_name``, of the pair of both with ``confused_with``; the images of the model's
    newest scoring, and only those on ``sets`` when it is given.
    """

    name = "model.review-requested"
    key_fields = ("request_id",)

    request_id: RequestId
    model_version: ModelVersion
    class_name: ClassName | None = None
    confused_with: ClassName | None = None
    sets: Annotated[tuple[BenchmarkName, ...], Field(max_length=20)] = ()
    limit: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """At most so many; absent: 100, or all of a class or a pair."""
    by: PersonName
    reason: Reason | None = None
    requested_at: UtcDatetime

    @model_validator(mode="after")
    def _names_a_pair(self) -> Self:
        if self.confused_with is not None and self.class_name in {None, self.confused_with}:
            raise ValueError("confused_with goes with another class_name")
        return self


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


class RequestVectors(Message):
    """Compute similarity vectors of a snapshot's images (the newest's when none is named). Heard by bulkid.

    ``model_version`` None means the newest exported model, or the pretrained backbone before there is one.
    """

    name = "bulk.vectors-requested"
    key_fields = ("request_id",)

    request_id: RequestId
    model_version: ModelVersion | None = None
    snapshot_id: str | None = None
    by: PersonName
    requested_at: UtcDatetime


class ResolveDuplicate(Message):
    """A person's word on two images, remembered for ever. Heard by dedup.

    With ``keep`` (one of the two) they are duplicates and the other leaves the data sets; without it they
    are not, both stay, and the pair is never offered again.
    """

    name = "duplicate.resolve"
    key_fields = ("request_id",)

    request_id: RequestId
    image_id: ImageId
    other_id: ImageId
    keep: ImageId | None = None
    by: PersonName
    reason: Reason | None = None
    requested_at: UtcDatetime

    @model_validator(mode="after")
    def _names_two_images(self) -> Self:
        if self.image_id == self.other_id:
            raise ValueError("image_id and other_id must be two images")
        if self.keep not in {None, self.image_id, self.other_id}:
            raise ValueError("keep must be image_id or other_id, or left out to keep both")
        return self


class UndoDuplicate(Message):
    """Take back the resolution of that request; the pair is as it was before it. Heard by dedup."""

    name = "duplicate.undo"
    key_fields = ("request_id",)

    request_id: RequestId
    undoes: RequestId
    by: PersonName
    reason: Reason | None = None
    requested_at: UtcDatetime
