"""Searches for good options; their trials are training runs."""

from __future__ import annotations

from services.reporter.store.tables.columns import AT, FLAG, JSON, REAL, TEXT, WHOLE, table

fct_searches = table(
    "fct_searches",
    {"search_id": TEXT},
    {
        "snapshot_id": TEXT,
        "base": TEXT,
        "method": TEXT,
        "space": JSON,
        "rules": JSON,
        "options": JSON,
        "trials_planned": WHOLE,
        "parallel": WHOLE,
        "is_pruning": FLAG,
        "seed": WHOLE,
        "taxonomy_version": WHOLE,
        "requested_by": TEXT,
        "requested_at": AT,
        "requested_event_seq": WHOLE,
        "trials": WHOLE,
        "pruned": WHOLE,
        "failed": WHOLE,
        "best_run_id": TEXT,
        "best_validation_accuracy": REAL,
        "best_options": JSON,
        "report_key": TEXT,
        "report_size_bytes": WHOLE,
        "report_sha256": TEXT,
        "page_key": TEXT,
        "page_size_bytes": WHOLE,
        "page_sha256": TEXT,
        "completed_at": AT,
        "completed_event_seq": WHOLE,
    },
)
