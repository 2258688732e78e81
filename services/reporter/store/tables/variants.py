"""Smaller variants of models."""

from __future__ import annotations

from services.reporter.store.tables.columns import AT, REAL, TEXT, WHOLE, table

fct_model_variants = table(
    "fct_model_variants",
    {"model_version": TEXT, "request_id": TEXT, "variant_name": TEXT},
    {
        "variant_position": WHOLE,
        "file_key": TEXT,
        "file_sha256": TEXT,
        "size_bytes": WHOLE,
        "size_ratio": REAL,
        "accuracy": REAL,
        "accuracy_delta": REAL,
        "agreement": REAL,
        "images_per_s": REAL,
        "speed_ratio": REAL,
        "note": TEXT,
        "measured_on": TEXT,
        "measured_images": WHOLE,
        "whole_accuracy": REAL,
        "compressed_at": AT,
        "event_seq": WHOLE,
    },
)
