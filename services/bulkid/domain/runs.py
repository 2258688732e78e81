"""A run's identity, and the pages it is told in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

PAGE_RESULTS = 500
"""Results of one message (the interface's number)."""
PAGE_BYTES = 700_000
"""The broker takes messages of 1 MiB; headers and the envelope need little of it."""
CANDIDATES = 3
"""A model offers its top 3 (domain.md section 1)."""
RESULT_BYTES = 100
"""Of one result besides its candidates: the image's id, keys and punctuation."""
CANDIDATE_BYTES = 48
"""Of one candidate besides its label's text: keys, punctuation and a float."""


def run_id_for(model_version: str, request_id: str) -> str:
    """The same cause gives the same run, so that a redelivery tells nothing new.

    ``request_id`` is the request's, or the export's that set the run off.
    """
    digest = hashlib.sha256(f"{model_version}\x1f{request_id}".encode()).hexdigest()
    return f"bulk-{model_version}-{digest[:20]}"


def page_results(classes: Sequence[str]) -> int:
    """Results of one page: PAGE_RESULTS, or fewer when the longest labels would burst the message."""
    longest = sorted((len(json.dumps(label).encode()) for label in classes), reverse=True)[:CANDIDATES]
    result_bytes = RESULT_BYTES + sum(length + CANDIDATE_BYTES for length in longest)
    return max(1, min(PAGE_RESULTS, PAGE_BYTES // result_bytes))
