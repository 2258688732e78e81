"""Pairs of images that look alike, and similarity vectors."""

from __future__ import annotations

from services.reporter.store.tables.columns import AT, REAL, TEXT, WHOLE, table

_JUDGEMENT = {
    "state": TEXT,
    "distance_bits": WHOLE,
    "orientation": TEXT,
    "similarity": REAL,
    "detector": TEXT,
    "suggested_keep_image_id": TEXT,
    "keep_image_id": TEXT,
    "judged_by": TEXT,
    "reason": TEXT,
    "request_id": TEXT,
    "judged_at": AT,
    "event_seq": WHOLE,
}

dim_duplicate_pairs = table(
    "dim_duplicate_pairs",
    {"image_id": TEXT, "other_image_id": TEXT},
    {"revision": WHOLE} | _JUDGEMENT,
    ("state",),
)
fct_pair_judgements = table(
    "fct_pair_judgements", {"image_id": TEXT, "other_image_id": TEXT, "revision": WHOLE}, _JUDGEMENT
)
fct_vector_runs = table(
    "fct_vector_runs",
    {"run_id": TEXT},
    {
        "encoder": TEXT,
        "model_version": TEXT,
        "snapshot_id": TEXT,
        "images": WHOLE,
        "dimensions": WHOLE,
        "vectors_key": TEXT,
        "vectors_sha256": TEXT,
        "size_bytes": WHOLE,
        "computed_at": AT,
        "event_seq": WHOLE,
    },
)
