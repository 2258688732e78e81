"""Files of one evaluation or comparison, bucket reports; each is named by its content.

Another replica that did the same work, or the same one again after a crash, writes the same files or, where
a processor adds up in another order, others beside them: what was told of is never written over.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from contracts.manifests import Buckets
from contracts.values import ObjectRef
from services.evaluator.domain.answers import Answers
from services.evaluator.domain.comparison import ComparedImage
from services.evaluator.domain.figure_rows import FigureRow
from services.runtime.objectstore import ObjectStore

SCORES_FILE = "scores.npy"
"""N x C as NumPy writes it, to be memory-mapped; row i belongs to row i of the results."""
RESULTS_FILE = "results.parquet"
REPORT_FILE = "report.json"
QUEUE_FILE = "queue.parquet"
FIGURES_FILE = "figures.parquet"
PAGE_FILE = "report.html"
COMPARISON_FILE = "comparison.parquet"
SUMMARY_FILE = "summary.json"
PARQUET = "application/vnd.apache.parquet"
FIGURE_COLUMNS = {
    "set": pa.string(), "class": pa.string(), "source": pa.string(), "flag": pa.string(),
    "figure": pa.string(), "value": pa.float64(), "low": pa.float64(), "high": pa.float64(),
    "images": pa.int64(),
}  # fmt: skip
"""Of the fields of ``FigureRow``, in their order."""


class Artefacts:
    """Writes files below ``models/<version>/<request_id>/`` or ``comparisons/<request_id>/``."""

    def __init__(self, store: ObjectStore, prefix: str) -> None:
        self._store = store
        self._prefix = prefix

    @classmethod
    def of_evaluation(cls, store: ObjectStore, model_version: str, request_id: str) -> Artefacts:
        """Of one scoring of a model."""
        return cls(store, f"models/{model_version}/{request_id}")

    @classmethod
    def of_comparison(cls, store: ObjectStore, request_id: str) -> Artefacts:
        """Of one comparison."""
        return cls(store, f"comparisons/{request_id}")

    def put_scores(self, path: Path) -> ObjectRef:
        """The score matrix, part by part from the disk."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return self._store.put_file(Buckets.REPORTS, self._key(SCORES_FILE, digest), path)

    def put_results(
        self, image_ids: Sequence[str], sets: Sequence[str], answers: Answers, classes: Sequence[str]
    ) -> ObjectRef:
        """One row per image; truth and p_truth are null for an image of none of the model's classes."""
        names = pa.array(list(classes), pa.string())
        truth = pa.array([int(index) if index >= 0 else None for index in answers.truth], pa.int64())
        table = pa.table({
            "image_id": pa.array(list(image_ids), pa.string()),
            "set": pa.array(list(sets), pa.string()),
            "truth": names.take(truth),
            "predicted": names.take(pa.array(answers.predicted)),
            "confidence": pa.array(answers.confidence),
            "p_truth": pa.array(answers.p_truth, from_pandas=True),  # NaN becomes null
        })  # fmt: skip
        return self._put(RESULTS_FILE, _parquet(table), PARQUET)

    def put_report(self, document: dict[str, Any]) -> ObjectRef:
        """The figures, as JSON that any reader parses (no NaN)."""
        return self._put(REPORT_FILE, _json(document), "application/json")

    def put_queue(self, queue: pa.Table) -> ObjectRef:
        """The double-check queue, as ``build_queue`` orders it."""
        return self._put(QUEUE_FILE, _parquet(queue), PARQUET)

    def put_figures(self, rows: Iterable[FigureRow]) -> ObjectRef:
        """One row per figure of a set, class, source or flag: for people with pandas."""
        columns = list(zip(*rows, strict=True)) or [()] * len(FIGURE_COLUMNS)
        table = pa.table({
            name: pa.array(values, kind)
            for (name, kind), values in zip(FIGURE_COLUMNS.items(), columns, strict=True)
        })  # fmt: skip
        return self._put(FIGURES_FILE, _parquet(table), PARQUET)

    def put_page(self, page: bytes) -> ObjectRef:
        """The report as people read it."""
        return self._put(PAGE_FILE, page, "text/html; charset=utf-8")

    def put_comparison(self, images: Sequence[ComparedImage]) -> ObjectRef:
        """One row per image: what each model said, what changed, and whether it counts."""
        table = pa.table({
            "image_id": pa.array([image.image_id for image in images], pa.string()),
            "set": pa.array([image.set_name for image in images], pa.string()),
            "truth": pa.array([image.truth for image in images], pa.string()),
            "a_predicted": pa.array([image.a.predicted for image in images], pa.string()),
            "a_confidence": pa.array([image.a.confidence for image in images], pa.float64()),
            "b_predicted": pa.array([image.b.predicted for image in images], pa.string()),
            "b_confidence": pa.array([image.b.confidence for image in images], pa.float64()),
            "change": pa.array([image.change.value for image in images], pa.string()),
            "counted": pa.array([image.counted for image in images], pa.bool_()),
            "learned_by": pa.array([image.learned_by for image in images], pa.string()),
        })  # fmt: skip
        return self._put(COMPARISON_FILE, _parquet(table), PARQUET)

    def put_summary(self, document: dict[str, Any]) -> ObjectRef:
        """The counts of a comparison."""
        return self._put(SUMMARY_FILE, _json(document), "application/json")

    def _put(self, name: str, data: bytes, content_type: str) -> ObjectRef:
        key = self._key(name, hashlib.sha256(data).hexdigest())
        return self._store.put(Buckets.REPORTS, key, data, content_type)

    def _key(self, name: str, digest: str) -> str:
        return f"{self._prefix}/{digest[:12]}-{name}"


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, allow_nan=False, sort_keys=True).encode()


def _parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    data: bytes = sink.getvalue().to_pybytes()
    return data
