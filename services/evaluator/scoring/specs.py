"""What the evaluator asks of its children."""

from __future__ import annotations

import hashlib

from contracts.events import ModelTrained, SnapshotPacked
from contracts.taxonomy import Taxonomy
from contracts.values import ModelVersion, ObjectRef, Value
from services.evaluator.domain.confused import ConfusedPairs

FOLDER = "score-"
"""Beginning of the names of the folders that scorings grow in."""


class Under(Value):
    """The images of ``dataset_of``'s data set, and the classes of version ``version``.

    ``own`` is the snapshot that the scored model was trained on, ``shown`` that of the data set.
    """

    dataset_of: ModelTrained
    own: SnapshotPacked
    shown: SnapshotPacked
    taxonomy: Taxonomy
    version: int


class Known(Value):
    """A score matrix in the store; ``matrix`` names what it depends on (Scene.matrix_id)."""

    matrix: str
    scores: ObjectRef


class Scoring(Value):
    """One model on one data set; without ``under`` its own, by its own classes.

    ``folder`` is on local disk, the same for whoever goes on with the work.
    """

    model: ModelTrained
    request_id: str
    folder: str
    under: Under | None = None
    known: tuple[Known, ...] = ()
    """Matrices that are scored already, one of which may be the one wanted."""


class Stored(Value):
    """A scoring that is in the store: its report names its results."""

    request_id: str
    report: ObjectRef
    scores: ObjectRef


class InProduction(Value):
    """The model in production, and what it was scored on; the newest scoring first."""

    model_version: ModelVersion
    scorings: tuple[Stored, ...]
    ancestors: tuple[ObjectRef, ...]
    """As those of ``Comparing``."""


class Evaluating(Value):
    """A scoring, and what its figures need besides."""

    scoring: Scoring
    confused: ConfusedPairs
    ancestors: tuple[ObjectRef, ...]
    """As those of ``Comparing``; of the scored model."""
    production: InProduction | None
    """None before any other model was exported."""
    flags_file: str | None = None
    """JSON on local disk: quality flags by image id, of images that have any (100,000s make 10 MB)."""


class Comparing(Value):
    """Two scorings of the same images under the same classes."""

    request_id: str
    a: Scoring
    b: Scoring
    ancestors_a: tuple[ObjectRef, ...]
    """Data sets that the model and those it was fine-tuned from learned from, its own the first."""
    ancestors_b: tuple[ObjectRef, ...]


def folder_name(model: ModelTrained, under: Under | None) -> str:
    """The same for the same model, data set and classes: whoever scores them goes on from where another was.

    The version alone does not name the classes: which labels each class of the model had is told by its own
    data set, hence by the model.
    """
    dataset = model.dataset if under is None else under.dataset_of.dataset
    classes = "own"
    if under is not None:
        packed = f"{under.own.taxonomy_version} {under.shown.taxonomy_version}"
        operations = hashlib.sha256(under.taxonomy.model_dump_json().encode()).hexdigest()
        classes = f"{under.version} {packed} {operations}"
    names = f"{model.model_version} {model.model.sha256} {dataset.sha256} {classes}"
    return FOLDER + hashlib.sha256(names.encode()).hexdigest()[:20]
