"""Pages about models: reports of scorings, and comparisons of two models."""

from __future__ import annotations

from services.reporter.store.tables.columns import AT, REAL, TEXT, WHOLE, table

fct_model_pages = table(
    "fct_model_pages",
    {"model_version": TEXT, "request_id": TEXT},
    {"page_key": TEXT, "page_size_bytes": WHOLE, "page_sha256": TEXT, "scored_at": AT, "event_seq": WHOLE},
)
fct_model_comparisons = table(
    "fct_model_comparisons",
    {"request_id": TEXT},
    {
        "model_a": TEXT,
        "model_b": TEXT,
        "dataset_of": TEXT,
        "taxonomy_version": WHOLE,
        "images": WHOLE,
        "both_right": WHOLE,
        "fixed": WHOLE,
        "broken": WHOLE,
        "both_wrong": WHOLE,
        "accuracy_a": REAL,
        "accuracy_b": REAL,
        "p_value": REAL,
        "learned_from": WHOLE,
        "nobodys": WHOLE,
        "summary_key": TEXT,
        "summary_size_bytes": WHOLE,
        "summary_sha256": TEXT,
        "compared_at": AT,
        "event_seq": WHOLE,
    },
)
