"""Past-tense facts. Once published a fact is never changed; a correction is another fact."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from contracts.message import Message, UtcDatetime
from contracts.taxonomy import Operation
from contracts.training import TrainOptions
from contracts.values import (
    BenchmarkName,
    Box,
    Candidate,
    Confidence,
    DoubleCheckVerdict,
    DuplicateVerdict,
    FileName,
    Flag,
    GateVerdict,
    Guest,
    ImageId,
    Label,
    LabelKind,
    Measure,
    ModelVersion,
    ObjectRef,
    Orientation,
    PairState,
    PersonName,
    Reason,
    RejectCode,
    Similarity,
    Source,
    Suggestion,
    Tags,
    UploadId,
    UpstreamId,
    Value,
    Visit,
)

Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class ImageUploaded(Message):
    """An uploader put the bytes into the store. Said by uploaders and ingest's HTTP upload."""

    name = "image.uploaded"
    key_fields = ("upload_id",)

    upload_id: UploadId
    object: ObjectRef
    file_name: FileName
    uploaded_at: UtcDatetime
    uploaded_by: PersonName = "upload"
    label: Label | None = None
    source: Source = Source.REAL
    guest: Guest | None = None
    taken_at: UtcDatetime | None = None
    benchmark: Annotated[str, Field(max_length=100)] | None = None
    label_kind: LabelKind | None = None
    visit: Visit | None = None
    tags: Tags = ()
    upstream_id: UpstreamId | None = None


class ImageAccepted(Message):
    """The upload decoded safely and is now an image of the library."""

    name = "image.accepted"
    key_fields = ("image_id",)

    image_id: ImageId
    upload_id: UploadId
    file_name: FileName
    original: ObjectRef
    normalised: ObjectRef
    thumbnail: ObjectRef
    content: Box
    width_px: Count
    height_px: Count
    image_format: str
    source: Source
    guest: str | None = None
    taken_at: UtcDatetime | None = None
    benchmark: str | None = None
    accepted_at: UtcDatetime
    visit: Visit | None = None
    tags: Tags = ()
    upstream_id: UpstreamId | None = None
    quality: tuple[Measure, ...] = ()
    """What lies beyond its threshold is in image.flagged."""


class ImageRepeated(Message):
    """The upload has the bytes or the pixels of an image that is already in the library."""

    name = "image.repeated"
    key_fields = ("upload_id",)

    upload_id: UploadId
    image_id: ImageId
    file_name: FileName
    same: Literal["bytes", "pixels"]
    repeated_at: UtcDatetime


class ImageRejected(Message):
    """The upload is not an image that can be used; the reason is for a person."""

    name = "image.rejected"
    key_fields = ("upload_id",)

    upload_id: UploadId
    file_name: FileName
    code: RejectCode
    detail: Reason
    rejected_at: UtcDatetime


class ImageFlagged(Message):
    """Measures of the picture lie beyond their thresholds; all flags the image has now."""

    name = "image.flagged"
    key_fields = ("image_id", "revision")

    image_id: ImageId
    revision: Annotated[int, Field(ge=1)]
    flags: tuple[Flag, ...]
    flagged_at: UtcDatetime


class ImageDeduplicated(Message):
    """Dedup's verdict; a later arrival may raise ``revision`` with another one."""

    name = "image.deduplicated"
    key_fields = ("image_id", "revision")

    image_id: ImageId
    revision: Annotated[int, Field(ge=1)]
    verdict: DuplicateVerdict
    group: ImageId
    duplicate_of: ImageId | None = None
    distance_bits: Count | None = None
    detector: str
    deduplicated_at: UtcDatetime
    orientation: Orientation = Orientation.SAME
    """How ``duplicate_of`` has to be turned to look like this image."""
    by: PersonName | None = None
    """Whose word the verdict rests on; None: it was computed."""


class PairJudged(Message):
    """Two images look alike and dedup is not sure, or a person has decided; ``revision`` counts the pair's.

    ``image_id`` sorts before ``other_id``. What hashes decide for certain is not said pair by pair: it stands
    in image.deduplicated.
    """

    name = "image.pair-judged"
    key_fields = ("image_id", "other_id", "revision")

    image_id: ImageId
    other_id: ImageId
    revision: Annotated[int, Field(ge=1)]
    state: PairState
    distance_bits: Count | None = None
    orientation: Orientation = Orientation.SAME
    similarity: Similarity | None = None
    detector: str
    suggested_keep: ImageId
    """The better of the two by size and sharpness."""
    keep: ImageId | None = None
    by: PersonName | None = None
    reason: Reason | None = None
    request_id: str | None = None
    """Of the duplicate.resolve that decided; undone by that id."""
    judged_at: UtcDatetime


class ImageLabelled(Message):
    """The image got its first label."""

    name = "image.labelled"
    key_fields = ("image_id", "revision")

    image_id: ImageId
    revision: Annotated[int, Field(ge=1)]
    label: Label
    kind: LabelKind
    by: PersonName
    reason: Reason | None = None
    labelled_at: UtcDatetime
    suggestion: Suggestion | None = None
    change_id: str | None = None
    """Changes that were ordered together, and can be undone together, share it."""


class ImageRelabelled(ImageLabelled):
    """The label was changed; the history stays."""

    name = "image.relabelled"

    previous_label: Label


class ImageUnlabelled(Message):
    """The image has no label any more: its first label was undone. Revisions go on counting."""

    name = "image.unlabelled"
    key_fields = ("image_id", "revision")

    image_id: ImageId
    revision: Annotated[int, Field(ge=1)]
    previous_label: Label
    by: PersonName
    reason: Reason | None = None
    change_id: str | None = None
    unlabelled_at: UtcDatetime


class OpinionGiven(Message):
    """A second opinion on an image's label; it changes no label. ``agrees`` with the label of then."""

    name = "image.opinion-given"
    key_fields = ("image_id", "revision")

    image_id: ImageId
    revision: Annotated[int, Field(ge=1)]
    label: Label
    kind: LabelKind
    by: PersonName
    current_label: Label | None = None
    agrees: bool
    reason: Reason | None = None
    given_at: UtcDatetime


class DoubleCheckRequested(Message):
    """A person shall look at the image's label again; ``revision`` counts the image's double-checks."""

    name = "image.double-check-requested"
    key_fields = ("image_id", "revision")

    image_id: ImageId
    revision: Annotated[int, Field(ge=1)]
    reason: Reason
    by: PersonName
    requested_at: UtcDatetime


class DoubleChecked(Message):
    """The double-check of that revision is done."""

    name = "image.double-checked"
    key_fields = ("image_id", "revision")

    image_id: ImageId
    revision: Annotated[int, Field(ge=1)]
    verdict: DoubleCheckVerdict
    by: PersonName
    reason: Reason | None = None
    checked_at: UtcDatetime


class BenchmarkAssigned(Message):
    """The image joined a benchmark set, moved to another, or (``benchmark`` None) left it."""

    name = "image.benchmark-assigned"
    key_fields = ("image_id", "revision")

    image_id: ImageId
    revision: Annotated[int, Field(ge=1)]
    benchmark: BenchmarkName | None
    previous_benchmark: BenchmarkName | None = None
    by: PersonName
    reason: Reason | None = None
    assigned_at: UtcDatetime


class TaxonomyChanged(Message):
    """The taxonomy has a new version: one merge, split or rename of classes."""

    name = "library.taxonomy-changed"
    key_fields = ("version",)

    version: Annotated[int, Field(ge=1)]
    operation: Operation
    images: Count
    """Images whose class or label the change concerns."""
    changed_at: UtcDatetime


class SnapshotProgressed(Message):
    """A part of a snapshot is packed."""

    name = "library.snapshot-progressed"
    key_fields = ("request_id", "shards_done")

    request_id: str
    snapshot_id: str
    shards: Count
    shards_done: Count
    images: Count
    images_done: Count
    size_bytes: Count
    progressed_at: UtcDatetime


class SnapshotPacked(Message):
    """The library state stands in tar shards under a manifest (contracts/manifests.py)."""

    name = "library.snapshot-packed"
    key_fields = ("request_id",)

    request_id: str
    snapshot_id: str
    manifest: ObjectRef
    images: Count
    labelled: Count
    unlabelled: Count
    classes: Count
    shards: Count
    size_bytes: Count
    image_size_px: Count
    packed_at: UtcDatetime
    shards_reused: Count = 0
    """Of ``shards``: those an earlier snapshot had packed already."""
    taxonomy_version: Count = 0
    taxonomy: ObjectRef | None = None
    """All versions of the taxonomy up to that one (contracts/taxonomy.py, Taxonomy as JSON)."""


class TrainProgressed(Message):
    """One epoch of a run is done."""

    name = "train.progressed"
    key_fields = ("run_id", "epoch")

    run_id: str
    epoch: Annotated[int, Field(ge=1)]
    epochs: Annotated[int, Field(ge=1)]
    loss: float
    accuracy: Share
    val_loss: float | None = None
    val_accuracy: Share | None = None
    images_per_s: float
    eta_s: float
    progressed_at: UtcDatetime
    learning_rate: float | None = None
    data_wait_share: Share | None = None
    """Share of the epoch's time in which the device waited for images."""
    cpu_share: float | None = None
    """Of one core: 2.0 keeps two busy."""
    gpu_share: Share | None = None
    """None where no GPU is."""
    cost: float | None = None
    """So far, in the currency of the trainer's setting; None where no price is set."""
    cost_estimate: float | None = None
    """Of the whole run."""


class TrainCancelled(Message):
    """A person stopped the run; no model came of it."""

    name = "train.cancelled"
    key_fields = ("run_id",)

    run_id: str
    by: PersonName
    reason: Reason | None = None
    epochs: Count
    """Whole epochs that were done."""
    cancelled_at: UtcDatetime


class TrainFailed(Message):
    """The run ended without a model; ``remedy`` says what to change."""

    name = "train.failed"
    key_fields = ("run_id",)

    run_id: str
    error: Reason
    remedy: Reason
    failed_at: UtcDatetime


class SideCounts(Value):
    """Images per side of a data set."""

    train: Count
    validation: Count
    test: Count
    benchmark: Count
    out: Count


class TrialCompleted(Message):
    """A run for comparison is done: its curve counts, no model is registered."""

    name = "train.trial-completed"
    key_fields = ("run_id",)

    run_id: str
    snapshot_id: str
    network: str
    epochs: Count
    best_epoch: Count
    best_val_accuracy: Share
    history: ObjectRef
    completed_at: UtcDatetime
    search_id: str | None = None
    trial_number: Count | None = None
    pruned: bool = False
    """Ended early: worse than the search's other trials at the same epoch."""


class SearchCompleted(Message):
    """A search is over; ``best_options`` are ready to be trained with."""

    name = "train.search-completed"
    key_fields = ("search_id",)

    search_id: str
    snapshot_id: str
    trials: Count
    pruned: Count
    failed: Count
    best_run_id: str | None = None
    """None when no trial came to its end."""
    best_val_accuracy: Share | None = None
    best_options: TrainOptions | None = None
    report: ObjectRef
    """JSON: every trial, the importance of each option."""
    page: ObjectRef
    """The same as a self-contained HTML page."""
    completed_at: UtcDatetime


class ModelTrained(Message):
    """A model stands in the store, with its data set and its curve. Loaded by digest only."""

    name = "model.trained"
    key_fields = ("run_id",)

    run_id: str
    model_version: ModelVersion
    base_version: ModelVersion | None = None
    snapshot_id: str
    network: str
    image_size_px: Count
    classes: tuple[str, ...]
    model: ObjectRef
    dataset: ObjectRef
    history: ObjectRef
    images: SideCounts
    epochs: Count
    best_epoch: Count
    best_val_accuracy: Share | None = None
    throw_away: bool = False
    trained_at: UtcDatetime
    summary: ObjectRef | None = None
    """The data set in words and counts, JSON."""
    curves: ObjectRef | None = None
    """The training curves as a picture, PNG."""
    log: ObjectRef | None = None
    seconds: float | None = None
    cost: float | None = None


class SetScore(Value):
    """Scores of one model on one set; shares are 0..1, above means at the threshold or over."""

    name: str
    images: Count
    accuracy: Share | None = None
    f1_macro: Share | None = None
    log_loss: float | None = None
    weighted_log_loss: float | None = None
    """By the evaluator's table of commonly confused pairs; the report names its version."""
    true_positives_above: Share | None = None
    false_positives_above: Share | None = None
    confidence_min: Confidence | None = None
    confidence_max: Confidence | None = None
    confidence_mean: Confidence | None = None
    confidence_median: Confidence | None = None
    above_threshold: Count = 0
    below_threshold: Count = 0


class GateRule(Value):
    """One rule's outcome; ``passed`` is None when there was nothing to measure it on."""

    rule: str
    passed: bool | None
    sentence: str


class Gate(Value):
    """Go only when no rule failed."""

    verdict: GateVerdict
    rules: tuple[GateRule, ...]


class ModelScored(Message):
    """Every image of the model's data set was scored, and the gate computed."""

    name = "model.scored"
    key_fields = ("model_version", "request_id")

    request_id: str
    model_version: ModelVersion
    threshold: Confidence
    sets: tuple[SetScore, ...]
    gate: Gate
    report: ObjectRef
    scores: ObjectRef
    throw_away: bool = False
    scored_at: UtcDatetime
    queue: ObjectRef | None = None
    """The labelled images as Parquet, most doubtful label first, with examples to compare them with."""
    page: ObjectRef | None = None
    """The report as a self-contained HTML page; None of what was scored before there were any."""
    figures: ObjectRef | None = None
    """Every figure of every set and class as a tidy Parquet table."""


class ScoringProgressed(Message):
    """So many images of a scoring are scored and kept: a crash costs none of them."""

    name = "model.scoring-progressed"
    key_fields = ("model_version", "request_id", "scored")

    request_id: str
    model_version: ModelVersion
    images: Count
    scored: Count
    images_per_s: float
    eta_s: float
    progressed_at: UtcDatetime


class ModelRescored(Message):
    """A model was measured by the classes of another taxonomy version, or on another data set.

    The verdict informs: only that of model.scored is the model's.
    """

    name = "model.rescored"
    key_fields = ("model_version", "request_id")

    request_id: str
    model_version: ModelVersion
    dataset_of: ModelVersion
    taxonomy_version: Count
    classes: tuple[str, ...]
    """Columns of ``scores``."""
    unknown_classes: tuple[str, ...] = ()
    """Classes of the images that the model does not know: every answer to these images is wrong."""
    undivided_classes: tuple[str, ...] = ()
    """Classes of the model that the version divides; no image shows them, so answers with them are wrong."""
    threshold: Confidence
    sets: tuple[SetScore, ...]
    gate: Gate
    report: ObjectRef
    scores: ObjectRef
    scored_at: UtcDatetime
    page: ObjectRef | None = None
    """The report as a self-contained HTML page."""
    figures: ObjectRef | None = None
    """Every figure of every set and class as a tidy Parquet table."""


class ComparedSet(Value):
    """Answers of models a and b to the images of one set; the four counts add up to ``images``."""

    name: str
    images: Count
    both_right: Count
    fixed: Count
    """Only b is right."""
    broken: Count
    """Only a is right."""
    both_wrong: Count


class ModelsCompared(Message):
    """What model b fixes and breaks of model a's answers, on images that neither has learned from.

    ``p_value`` is of McNemar's exact test: how likely so uneven a split of ``fixed`` and ``broken`` is if
    the models are equally good.
    """

    name = "model.compared"
    key_fields = ("request_id",)

    request_id: str
    model_a: ModelVersion
    model_b: ModelVersion
    dataset_of: ModelVersion
    taxonomy_version: Count
    images: Count
    both_right: Count
    fixed: Count
    broken: Count
    both_wrong: Count
    accuracy_a: Share | None = None
    accuracy_b: Share | None = None
    p_value: Share
    learned_from: Count
    """Images left out of the counts: one of the models, or an ancestor of it, has learned from them."""
    nobodys: Count
    """Images left out of the counts: they show no class that either model knows."""
    sets: tuple[ComparedSet, ...]
    report: ObjectRef
    """Parquet, image by image, with those left out."""
    summary: ObjectRef
    """JSON, with the classes that gain and lose most."""
    compared_at: UtcDatetime


class ConfusedPairsChanged(Message):
    """The table of commonly confused pairs has a new version; ``weight`` None took the pair off it."""

    name = "library.confused-pairs-changed"
    key_fields = ("version",)

    version: Annotated[int, Field(ge=1)]
    one: str
    other: str
    weight: Share | None
    previous_weight: Share | None = None
    by: PersonName
    reason: Reason | None = None
    changed_at: UtcDatetime


class ModelExported(Message):
    """The model stands in TensorFlow Serving's layout; ``manifest`` lists every file by digest."""

    name = "model.exported"
    key_fields = ("model_version", "request_id")

    request_id: str
    model_version: ModelVersion
    snapshot_id: str
    manifest: ObjectRef
    model: ObjectRef
    image_size_px: Count
    classes: tuple[str, ...]
    ordered_by: PersonName | None = None
    reason: Reason | None = None
    exported_at: UtcDatetime


class CompressedVariant(Value):
    """A smaller form of a model, measured beside the whole one in the same run."""

    name: Literal["litert", "float16", "dynamic-range", "int8", "pruned"]
    file: ObjectRef
    size_ratio: float
    """Of the whole LiteRT file; a pruned one's is of the compressed file."""
    accuracy: Share
    accuracy_delta: float
    agreement: Share
    """Share of test images with the same first answer as the whole model's."""
    images_per_s: float
    speed_ratio: float
    note: Reason | None = None


class ModelCompressed(Message):
    """Smaller variants of a model stand in the store, with what they cost in accuracy."""

    name = "model.compressed"
    key_fields = ("model_version", "request_id")

    request_id: str
    model_version: ModelVersion
    test_images: Count
    variants: tuple[CompressedVariant, ...]
    compressed_at: UtcDatetime
    measured_on: Literal["test", "validation"] = "test"
    """``validation``: the model has no test image, and ``test_images`` are of that side."""
    accuracy: Share | None = None
    """The whole model's, on the same images."""


class Identification(Value):
    """What a model says of one image: its best candidates, best first."""

    image_id: ImageId
    top: Annotated[tuple[Candidate, ...], Field(min_length=1, max_length=3)]


class BulkIdentified(Message):
    """A page of identifications of one bulk run."""

    name = "bulk.identified"
    key_fields = ("run_id", "page")

    run_id: str
    page: Annotated[int, Field(ge=1)]
    model_version: ModelVersion
    results: tuple[Identification, ...]
    identified_at: UtcDatetime


class VectorsComputed(Message):
    """Similarity vectors of images stand in the store, as Parquet (contracts/manifests.py, VECTOR_COLUMNS).

    ``encoder`` names what made them; vectors of different encoders must not be compared.
    """

    name = "bulk.vectors-computed"
    key_fields = ("run_id",)

    run_id: str
    encoder: str
    model_version: ModelVersion | None = None
    """None: the pretrained backbone, as long as there is no model."""
    snapshot_id: str
    images: Count
    dimensions: Annotated[int, Field(ge=1)]
    vectors: ObjectRef
    computed_at: UtcDatetime


class BulkCompleted(Message):
    """All unlabelled images of a snapshot are identified."""

    name = "bulk.completed"
    key_fields = ("run_id",)

    run_id: str
    model_version: ModelVersion
    snapshot_id: str
    identified: Count
    above_threshold: Count
    threshold: Confidence
    completed_at: UtcDatetime


class DeadLetterReason(StrEnum):
    """Why a handler will not see the message again on its own."""

    MALFORMED = "malformed"
    ATTEMPTS_EXHAUSTED = "attempts-exhausted"
    PROCESS_DIED = "process-died"


class DeadLetterStored(Message):
    """A message was put aside with its error; ``menagerie dead-letters`` shows and replays it."""

    name = "dead-letter.stored"
    key_fields = ("dead_letter_id",)

    dead_letter_id: str
    service: str
    durable: str
    source_subject: str
    source_stream: str
    source_seq: Count
    source_message_id: str | None = None
    reason: DeadLetterReason
    error: Reason
    attempts: Count
    headers: dict[str, str] = {}
    body_base64: str
    truncated: bool = False
    stored_at: UtcDatetime


class DeadLetterReplayed(Message):
    """A person sent the message again."""

    name = "dead-letter.replayed"
    key_fields = ("dead_letter_id", "replayed_at")

    dead_letter_id: str
    by: PersonName
    replayed_at: UtcDatetime
