"""Tables of the reporting store, dbt style: dimensions, facts, ``<object>_id``, ``<event>_at``, ``is_``.

Every column outside the key may be NULL: a row is made of parts that arrive in any order.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from services.runtime.database import new_metadata

metadata = new_metadata()


def _table(name: str, key: dict[str, Any], columns: dict[str, Any], *indexes: tuple[str, ...]) -> sa.Table:
    keys = [sa.Column(column, kind, primary_key=True, autoincrement=False) for column, kind in key.items()]
    rest = [sa.Column(column, kind, nullable=True) for column, kind in columns.items()]
    listed = [sa.Index(f"ix_{name}_{'_'.join(index)}", *index) for index in indexes]
    return sa.Table(name, metadata, *keys, *rest, *listed)


TEXT, WHOLE, FLAG, JSON = sa.Text(), sa.BigInteger(), sa.Boolean(), sa.JSON()
REAL: sa.Double[float] = sa.Double()
AT = sa.DateTime(timezone=True)

dim_images = _table(
    "dim_images",
    {"image_id": TEXT},
    {
        "upload_id": TEXT,
        "file_name": TEXT,
        "source": TEXT,
        "guest": TEXT,
        "benchmark": TEXT,
        "taken_at": AT,
        "accepted_at": AT,
        "image_format": TEXT,
        "width_px": WHOLE,
        "height_px": WHOLE,
        "original_bucket": TEXT,
        "original_key": TEXT,
        "original_size_bytes": WHOLE,
        "normalised_bucket": TEXT,
        "normalised_key": TEXT,
        "thumbnail_bucket": TEXT,
        "thumbnail_key": TEXT,
        "thumbnail_size_bytes": WHOLE,
        "thumbnail_sha256": TEXT,
        "accepted_event_seq": WHOLE,
        "verdict": TEXT,
        "group_id": TEXT,
        "duplicate_of_image_id": TEXT,
        "distance_bits": WHOLE,
        "detector": TEXT,
        "deduplicated_at": AT,
        "verdict_revision": WHOLE,
        "verdict_event_seq": WHOLE,
        "label": TEXT,
        "label_kind": TEXT,
        "labelled_by": TEXT,
        "labelled_at": AT,
        "label_revision": WHOLE,
        "label_event_seq": WHOLE,
        "visit": TEXT,
        "tags": JSON,
        "upstream_id": TEXT,
        "quality": JSON,
        "benchmark_revision": WHOLE,
        "benchmark_event_seq": WHOLE,
        "flags": JSON,
        "flag_revision": WHOLE,
        "flag_event_seq": WHOLE,
    },
    ("accepted_at", "image_id"),
    ("label", "image_id"),
)
fct_uploads = _table(
    "fct_uploads",
    {"upload_id": TEXT},
    {
        "file_name": TEXT,
        "source": TEXT,
        "guest": TEXT,
        "benchmark": TEXT,
        "offered_label": TEXT,
        "uploaded_by": TEXT,
        "taken_at": AT,
        "uploaded_at": AT,
        "size_bytes": WHOLE,
        "content_sha256": TEXT,
        "uploaded_event_seq": WHOLE,
        "outcome": TEXT,
        "outcome_file_name": TEXT,
        "image_id": TEXT,
        "code": TEXT,
        "detail": TEXT,
        "outcome_at": AT,
        "outcome_event_seq": WHOLE,
        "upstream_id": TEXT,
    },
    ("outcome", "outcome_at"),
)
fct_label_changes = _table(
    "fct_label_changes",
    {"image_id": TEXT, "revision": WHOLE},
    {
        "label": TEXT,
        "label_kind": TEXT,
        "previous_label": TEXT,
        "labelled_by": TEXT,
        "reason": TEXT,
        "labelled_at": AT,
        "event_seq": WHOLE,
        "change_id": TEXT,
        "suggested_by_model_version": TEXT,
        "suggested_label": TEXT,
        "suggested_confidence": REAL,
        "suggestion": JSON,
    },
    ("labelled_at",),
)
fct_image_flags = _table(
    "fct_image_flags",
    {"image_id": TEXT, "revision": WHOLE, "flag": TEXT},
    {"value": REAL, "threshold": REAL, "flagged_at": AT, "event_seq": WHOLE},
    ("flag",),
)
fct_opinions = _table(
    "fct_opinions",
    {"image_id": TEXT, "revision": WHOLE},
    {
        "label": TEXT,
        "label_kind": TEXT,
        "given_by": TEXT,
        "current_label": TEXT,
        "is_agreeing": FLAG,
        "reason": TEXT,
        "given_at": AT,
        "event_seq": WHOLE,
    },
)
fct_double_checks = _table(
    "fct_double_checks",
    {"image_id": TEXT, "revision": WHOLE},
    {
        "reason": TEXT,
        "requested_by": TEXT,
        "requested_at": AT,
        "requested_event_seq": WHOLE,
        "verdict": TEXT,
        "checked_by": TEXT,
        "checked_reason": TEXT,
        "checked_at": AT,
        "checked_event_seq": WHOLE,
    },
)
fct_benchmark_changes = _table(
    "fct_benchmark_changes",
    {"image_id": TEXT, "revision": WHOLE},
    {
        "benchmark": TEXT,
        "previous_benchmark": TEXT,
        "assigned_by": TEXT,
        "reason": TEXT,
        "assigned_at": AT,
        "event_seq": WHOLE,
    },
)
fct_taxonomy_changes = _table(
    "fct_taxonomy_changes",
    {"version": WHOLE},
    {
        "change_kind": TEXT,
        "operation": JSON,
        "undoes_version": WHOLE,
        "images": WHOLE,
        "changed_by": TEXT,
        "reason": TEXT,
        "changed_at": AT,
        "event_seq": WHOLE,
    },
)
fct_snapshot_progress = _table(
    "fct_snapshot_progress",
    {"request_id": TEXT},
    {
        "snapshot_id": TEXT,
        "shards": WHOLE,
        "shards_done": WHOLE,
        "images": WHOLE,
        "images_done": WHOLE,
        "size_bytes": WHOLE,
        "progressed_at": AT,
        "event_seq": WHOLE,
    },
)
fct_snapshots = _table(
    "fct_snapshots",
    {"request_id": TEXT},
    {
        "snapshot_id": TEXT,
        "images": WHOLE,
        "labelled": WHOLE,
        "unlabelled": WHOLE,
        "classes": WHOLE,
        "shards": WHOLE,
        "size_bytes": WHOLE,
        "image_size_px": WHOLE,
        "manifest_key": TEXT,
        "manifest_sha256": TEXT,
        "packed_at": AT,
        "event_seq": WHOLE,
        "shards_reused": WHOLE,
        "taxonomy_version": WHOLE,
    },
)
fct_train_runs = _table(
    "fct_train_runs",
    {"run_id": TEXT},
    {
        "snapshot_id": TEXT,
        "base": TEXT,
        "network": TEXT,
        "epochs_requested": WHOLE,
        "is_throw_away": FLAG,
        "is_trial": FLAG,
        "rules": JSON,
        "options": JSON,
        "requested_by": TEXT,
        "requested_at": AT,
        "requested_event_seq": WHOLE,
        "outcome": TEXT,
        "outcome_snapshot_id": TEXT,
        "outcome_network": TEXT,
        "model_version": TEXT,
        "base_version": TEXT,
        "epochs_run": WHOLE,
        "best_epoch": WHOLE,
        "best_validation_accuracy": REAL,
        "history_key": TEXT,
        "error": TEXT,
        "remedy": TEXT,
        "ended_at": AT,
        "outcome_event_seq": WHOLE,
    },
)
fct_train_epochs = _table(
    "fct_train_epochs",
    {"run_id": TEXT, "epoch": WHOLE},
    {
        "epochs_planned": WHOLE,
        "loss": REAL,
        "accuracy": REAL,
        "validation_loss": REAL,
        "validation_accuracy": REAL,
        "images_per_s": REAL,
        "eta_s": REAL,
        "progressed_at": AT,
        "event_seq": WHOLE,
    },
)
dim_models = _table(
    "dim_models",
    {"model_version": TEXT},
    {
        "run_id": TEXT,
        "base_version": TEXT,
        "snapshot_id": TEXT,
        "network": TEXT,
        "image_size_px": WHOLE,
        "classes": JSON,
        "class_count": WHOLE,
        "train_images": WHOLE,
        "validation_images": WHOLE,
        "test_images": WHOLE,
        "benchmark_images": WHOLE,
        "out_images": WHOLE,
        "epochs": WHOLE,
        "best_epoch": WHOLE,
        "best_validation_accuracy": REAL,
        "is_throw_away": FLAG,
        "model_key": TEXT,
        "model_sha256": TEXT,
        "dataset_key": TEXT,
        "history_key": TEXT,
        "trained_at": AT,
        "trained_event_seq": WHOLE,
        "score_request_id": TEXT,
        "threshold": REAL,
        "gate_verdict": TEXT,
        "report_key": TEXT,
        "test_accuracy": REAL,
        "scored_at": AT,
        "scored_event_seq": WHOLE,
        "export_request_id": TEXT,
        "export_manifest_key": TEXT,
        "export_ordered_by": TEXT,
        "export_reason": TEXT,
        "exported_at": AT,
        "exported_event_seq": WHOLE,
    },
)
fct_model_scores = _table(
    "fct_model_scores",
    {"model_version": TEXT, "request_id": TEXT, "set_name": TEXT},
    {
        "set_position": WHOLE,
        "images": WHOLE,
        "accuracy": REAL,
        "f1_macro": REAL,
        "log_loss": REAL,
        "true_positives_above": REAL,
        "false_positives_above": REAL,
        "confidence_min": REAL,
        "confidence_max": REAL,
        "confidence_mean": REAL,
        "confidence_median": REAL,
        "above_threshold": WHOLE,
        "below_threshold": WHOLE,
        "threshold": REAL,
        "scored_at": AT,
        "event_seq": WHOLE,
    },
)
fct_gate_rules = _table(
    "fct_gate_rules",
    {"model_version": TEXT, "request_id": TEXT, "rule": TEXT},
    {"rule_position": WHOLE, "is_passed": FLAG, "sentence": TEXT, "scored_at": AT, "event_seq": WHOLE},
)
fct_identifications = _table(
    "fct_identifications",
    {"run_id": TEXT, "image_id": TEXT},
    {
        "page": WHOLE,
        "model_version": TEXT,
        "label": TEXT,
        "confidence": REAL,
        "candidates": JSON,
        "identified_at": AT,
        "event_seq": WHOLE,
    },
    ("model_version", "image_id"),
    ("image_id", "run_id"),
)
fct_bulk_runs = _table(
    "fct_bulk_runs",
    {"run_id": TEXT},
    {
        "model_version": TEXT,
        "snapshot_id": TEXT,
        "identified": WHOLE,
        "above_threshold": WHOLE,
        "threshold": REAL,
        "completed_at": AT,
        "event_seq": WHOLE,
    },
)
fct_dead_letters = _table(
    "fct_dead_letters",
    {"dead_letter_id": TEXT},
    {
        "service": TEXT,
        "durable": TEXT,
        "source_subject": TEXT,
        "source_stream": TEXT,
        "source_seq": WHOLE,
        "source_message_id": TEXT,
        "reason": TEXT,
        "error": TEXT,
        "attempts": WHOLE,
        "headers": JSON,
        "body_base64": TEXT,
        "is_truncated": FLAG,
        "stored_at": AT,
        "stored_event_seq": WHOLE,
        "replayed_by": TEXT,
        "replayed_at": AT,
        "replayed_event_seq": WHOLE,
    },
    ("stored_at",),
)

PROJECTED = tuple(
    table for name, table in sorted(metadata.tables.items()) if name.startswith(("dim_", "fct_"))
)
"""The tables that events fill, and that a rebuild replaces; never the outbox or the attempts."""
