"""Values that several messages share, with their limits."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]

ImageId = Sha256
"""SHA-256 of the bytes as first uploaded: the same bytes are the same image."""

UploadId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{8,64}$")]
"""Made by the uploader, one per file, ordered by time (ULID); a retry repeats it."""

Label = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
"""A sub-class, with ``/`` between levels ("flamingo/juvenile"). Hostile text until escaped."""

ModelVersion = Annotated[str, StringConstraints(pattern=r"^[0-9]{3,9}$")]
"""Zero-padded number ("007"): TensorFlow Serving reads it as the integer version."""

Confidence = Annotated[float, Field(ge=0.0, le=100.0)]
"""Softmax x 100 (domain.md section 2)."""

FileName = Annotated[str, StringConstraints(max_length=1024)]
"""As the uploader spelled it; never used as a path or a key."""

Guest = Annotated[str, StringConstraints(max_length=200)]
"""Who took the picture, as the upstream system names them: images of one guest and visit stay together."""

Visit = Annotated[str, StringConstraints(max_length=200)]
"""One guest's visit or burst, as the upstream system names it."""

Tag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
Tags = Annotated[tuple[Tag, ...], Field(max_length=50)]

UpstreamId = Annotated[str, StringConstraints(min_length=1, max_length=200)]
"""The upstream system's own name of an upload; kept and searchable, never an identity."""

BenchmarkName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
"""A benchmark set: difficult, out-of-scope, most-common, least-common, or a name of the users' own."""

PersonName = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Reason = Annotated[str, StringConstraints(max_length=2000)]


class Source(StrEnum):
    """Where an image comes from; real is king (domain.md section 1)."""

    REAL = "real"
    STAGED = "staged"
    SYNTHETIC = "synthetic"


class LabelKind(StrEnum):
    """What a label says. Only ``class`` is ever trained on; ``rejected`` takes the image out of use."""

    CLASS = "class"
    UNKNOWN = "unknown"
    OUT_OF_SCOPE = "out-of-scope"
    REJECTED = "rejected"


class RejectCode(StrEnum):
    """Why an upload did not become an image."""

    EMPTY = "empty"
    NOT_AN_IMAGE = "not-an-image"
    UNSUPPORTED_FORMAT = "unsupported-format"
    DAMAGED = "damaged"
    TOO_MANY_PIXELS = "too-many-pixels"
    TOO_LARGE = "too-large"
    DECODER_CRASHED = "decoder-crashed"
    DECODER_TIMEOUT = "decoder-timeout"
    QUALITY = "quality"


class QualityFlag(StrEnum):
    """What may be wrong with a picture (domain.md section 1). A flag informs, a person decides."""

    BLURRY = "blurry"
    DARK = "dark"
    OVER_EXPOSED = "over-exposed"
    LOW_CONTRAST = "low-contrast"
    BACK_LIT = "back-lit"
    TINY = "tiny"
    EXTREME_ASPECT = "extreme-aspect"
    BORDERED = "bordered"
    NEAR_UNIFORM = "near-uniform"
    SCREEN_PHOTO = "screen-photo"
    TEXT_OVERLAY = "text-overlay"
    ANIMATED = "animated"


class DoubleCheckVerdict(StrEnum):
    """How a person ended the double-check of an image."""

    KEEP = "keep"
    RELABEL = "relabel"
    REMOVE = "remove"
    UNSURE = "unsure"


class DuplicateVerdict(StrEnum):
    """What dedup says of an accepted image. Only ``near`` leaves it out of data sets.

    ``burst``: one of several photos of the same moment by the same guest, alike but no copy; it stays in
    use, and its ``group`` keeps it on one side of a split with the others.
    """

    UNIQUE = "unique"
    NEAR = "near"
    BURST = "burst"


class PairState(StrEnum):
    """What is decided of two images that look alike. The last two are a person's word and stay."""

    REVIEW = "review"
    AUTOMATIC = "automatic"
    """Duplicates by a threshold that was learnt from people's verdicts."""
    BURST = "burst"
    CLOSED = "closed"
    """No longer alike enough, or one of the two was removed: nothing is left to decide."""
    DUPLICATE = "duplicate"
    NOT_DUPLICATE = "not-duplicate"


class Orientation(StrEnum):
    """How the one image has to be turned to look like the other (the names of Pillow's Transpose)."""

    SAME = "same"
    FLIP_LEFT_RIGHT = "flip-left-right"
    FLIP_TOP_BOTTOM = "flip-top-bottom"
    ROTATE_90 = "rotate-90"
    ROTATE_180 = "rotate-180"
    ROTATE_270 = "rotate-270"
    TRANSPOSE = "transpose"
    TRANSVERSE = "transverse"


class Side(StrEnum):
    """Where a data set puts an image."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"
    BENCHMARK = "benchmark"
    OUT = "out"


class GateVerdict(StrEnum):
    """The computed go / no-go; a person may overrule it."""

    GO = "go"
    NO_GO = "no-go"


class Value(BaseModel):
    """Base of nested values: frozen, unknown fields ignored (a newer sender may add some)."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ObjectRef(Value):
    """Claim check: a message names the object, the bytes stay in the store."""

    bucket: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{3,63}$")]
    key: Annotated[str, StringConstraints(min_length=1, max_length=900)]
    size: Annotated[int, Field(ge=0)]
    sha256: Sha256


class Box(Value):
    """The picture inside the letterbox, in pixels of the normalised image."""

    left: Annotated[int, Field(ge=0)]
    top: Annotated[int, Field(ge=0)]
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]


class Measure(Value):
    """One measured property of a picture (docs/quality.md)."""

    name: str
    value: float


class Flag(Value):
    """A measured quality flag: the measure's ``value`` lies beyond ``threshold``."""

    flag: QualityFlag
    value: float
    threshold: float


Similarity = Annotated[float, Field(ge=-1.0, le=1.0)]
"""Cosine of two similarity vectors."""


class Candidate(Value):
    """One class the model offers."""

    label: Label
    confidence: Confidence


class Suggestion(Value):
    """What a model offered for an image, best first; kept beside what a person chose."""

    model_version: ModelVersion
    top: Annotated[tuple[Candidate, ...], Field(min_length=1, max_length=3)]
