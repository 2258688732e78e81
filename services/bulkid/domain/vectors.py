"""A run of similarity vectors: its identity, and which images it computes."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeVar

from contracts.values import ModelVersion, Sha256

RUN_IMAGES = 20_000
"""Images of one run: 102 MB of vectors and some minutes of work, after which identification gets its turn
and a kill costs no more. What is left is requested again by the run itself."""

PRETRAINED_ENCODER = "efficientnet-lite0/1"
"""The backbone's name; the number changes with anything that changes its vectors."""

R = TypeVar("R", bound=Mapping[str, Any])


def vectors_run_id(request_id: str) -> str:
    """The same request gives the same run, so that a redelivery tells nothing new."""
    return f"vectors-{_digest(request_id)}"


def next_request_id(run_id: str) -> str:
    """Of the request for what a run left over."""
    return f"after-{_digest(run_id)}"


def automatic_request_id(cause: str) -> str:
    """Of the request that a snapshot or an export sets off by itself; ``cause`` names it."""
    return f"auto-{_digest(cause)}"


def model_encoder(version: ModelVersion, digest: Sha256) -> str:
    """Name of a model's encoder: a version that is exported again with other weights is another encoder."""
    return f"model-{version}-{digest[:8]}"


def vectors_key(encoder: str, run_id: str, digest: Sha256) -> str:
    """Where a run's file lies. Its digest is in the key, so that an object never changes under it:
    two replicas at one run on different processors differ in the last bits.
    """
    return f"vectors/{encoder.replace('/', '-')}/{run_id}-{digest[:8]}.parquet"


def without_vector(rows: Iterable[R], known: Collection[str]) -> list[R]:
    """Rows whose image is not in ``known``, in their order: labelled or not, duplicates, benchmarks, all."""
    return [row for row in rows if row["image_id"] not in known]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:20]
