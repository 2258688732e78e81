"""Files of one evaluation, bucket reports, ``models/<version>/<request_id>/``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from contracts.manifests import Buckets
from contracts.values import ObjectRef
from services.evaluator.domain.answers import Answers
from services.runtime.objectstore import ObjectStore

SCORES_FILE = "scores.npy"
"""Float32 N x C as NumPy writes it, to be memory-mapped; row i belongs to row i of the results."""
RESULTS_FILE = "results.parquet"
REPORT_FILE = "report.json"


class Artefacts:
    """Writes the files of one evaluation; writing again replaces them by the same."""

    def __init__(self, store: ObjectStore, model_version: str, request_id: str) -> None:
        self._store = store
        self._prefix = f"models/{model_version}/{request_id}"

    def put_scores(self, path: Path) -> ObjectRef:
        """The score matrix."""
        return self._store.put_file(Buckets.REPORTS, f"{self._prefix}/{SCORES_FILE}", path)

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
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        return self._store.put(
            Buckets.REPORTS, f"{self._prefix}/{RESULTS_FILE}", sink.getvalue().to_pybytes(),
            "application/vnd.apache.parquet",
        )  # fmt: skip

    def put_report(self, document: dict[str, Any]) -> ObjectRef:
        """The figures, as JSON that any reader parses (no NaN)."""
        data = json.dumps(document, ensure_ascii=False, allow_nan=False, sort_keys=True).encode()
        return self._store.put(Buckets.REPORTS, f"{self._prefix}/{REPORT_FILE}", data, "application/json")
