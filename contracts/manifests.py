"""Schemas of the objects that services hand to each other through the store.

Parquet manifests have one row per image, in the column order given here, sorted by
``image_id``: the same state gives the same bytes.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from contracts.training import DatasetRules
from contracts.values import ImageId, LabelKind, ModelVersion, Sha256, Side, Source, Value


class Buckets:
    """Buckets of the object store, by what they hold."""

    INCOMING = "incoming"
    LIBRARY = "library"
    SNAPSHOTS = "snapshots"
    MODELS = "models"
    REPORTS = "reports"
    DROP = "drop"
    """Where upstream systems put pictures for the bucket's notification to announce."""
    ALL = (INCOMING, LIBRARY, SNAPSHOTS, MODELS, REPORTS, DROP)


class ShardPlace(Value):
    """Where an image's PNG lies: ``size`` bytes from ``offset`` of object ``shard``, bucket snapshots."""

    shard: str
    offset: Annotated[int, Field(ge=0)]
    size: Annotated[int, Field(ge=1)]
    sha256: Sha256


class SnapshotRow(ShardPlace):
    """One image of a snapshot. ``group`` is the unit of a split: duplicates share it."""

    image_id: ImageId
    label: str | None
    label_kind: LabelKind | None
    source: Source
    guest: str | None
    group: str
    near_duplicate_of: ImageId | None
    benchmark: str | None
    taxonomy_version: int
    class_name: str | None = None
    """The class that ``label`` is trained as under ``taxonomy_version``; None unless its kind is class."""
    visit: str | None = None


class DatasetRow(ShardPlace):
    """One image of a snapshot with its side and the rule that put it there."""

    image_id: ImageId
    label: str | None
    class_name: str | None
    class_index: int
    """Index into the model's classes; -1 when the image has no trained class."""
    side: Side
    rule: str
    group: str
    source: Source
    benchmark: str | None
    unit: str | None = None
    """What decides the side: the visit or group that the image is split with; older manifests have none."""


SNAPSHOT_COLUMNS: dict[str, str] = {
    "image_id": "string",
    "label": "string",
    "label_kind": "string",
    "source": "string",
    "guest": "string",
    "group": "string",
    "near_duplicate_of": "string",
    "benchmark": "string",
    "taxonomy_version": "int64",
    "class_name": "string",
    "visit": "string",
    "shard": "string",
    "offset": "int64",
    "size": "int64",
    "sha256": "string",
}
"""Column name -> Arrow type of a snapshot manifest, key ``<snapshot_id>/manifest.parquet``."""

VECTOR_COLUMNS: dict[str, str] = {
    "image_id": "string",
    "vector": "fixed_size_list<float>",
}
"""Columns of a file of similarity vectors (bulk.vectors-computed), sorted by image_id; each of length 1."""

DATASET_COLUMNS: dict[str, str] = {
    "image_id": "string",
    "label": "string",
    "class_name": "string",
    "class_index": "int64",
    "side": "string",
    "rule": "string",
    "group": "string",
    "source": "string",
    "benchmark": "string",
    "shard": "string",
    "offset": "int64",
    "size": "int64",
    "sha256": "string",
    "unit": "string",
}
"""Column name -> Arrow type of a data set manifest, key ``runs/<run_id>/dataset.parquet``."""


class RuleCount(Value):
    """So many images, by the rule that decided their side."""

    rule: str
    side: Side
    images: int
    why: str
    """The rule in words."""


class ClassSummary(Value):
    """One class of a data set: real + staged + synthetic = train + validation + test + benchmark + out."""

    class_name: str
    class_index: int | None
    """None: the class is not trained."""
    real: int
    staged: int
    synthetic: int
    train: int
    validation: int
    test: int
    benchmark: int
    out: int
    left_out: tuple[RuleCount, ...]
    """Where the ``out`` went, the most images first."""
    needed: int
    """Images that are missing to the minimum; 0 when it is reached."""


class DatasetSummary(Value):
    """A data set in counts and words, key ``runs/<run_id>/summary.json``."""

    rules: DatasetRules
    images: int
    train: int
    validation: int
    test: int
    benchmark: int
    out: int
    trained_classes: int
    by_rule: tuple[RuleCount, ...]
    """Of all images, in the order in which the rules are looked at."""
    classes: tuple[ClassSummary, ...]
    """Sorted by name; images without a class are only in ``by_rule``."""


class Epoch(Value):
    """One row of a training curve."""

    epoch: int
    loss: float
    accuracy: float
    val_loss: float | None = None
    val_accuracy: float | None = None
    seconds: float
    learning_rate: float | None = None
    images_per_s: float | None = None
    data_wait_share: float | None = None


class History(Value):
    """The curve of a run, key ``runs/<run_id>/history.json``."""

    run_id: str
    base_version: ModelVersion | None
    epochs: tuple[Epoch, ...]


class ExportedFile(Value):
    """One file of an export, path relative to the model's prefix."""

    path: str
    size: int
    sha256: Sha256


class ExportManifest(Value):
    """Written last, so that an export is visible all at once: ``<version>/export.json``, bucket models."""

    model_version: ModelVersion
    classes: tuple[str, ...]
    image_size_px: int
    files: tuple[ExportedFile, ...]
    network: str | None = None
    snapshot_id: str | None = None


class ExportSignature(Value):
    """Of the exact bytes of ``<version>/export.json``, beside it as ``export.sig``; hexadecimal."""

    algorithm: Literal["ed25519"] = "ed25519"
    public_key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Of who says to have signed; a reader checks against the key it knows."""
    signature: Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]
