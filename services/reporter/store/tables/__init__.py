"""Tables of the reporting store."""

from services.reporter.store.tables.columns import metadata
from services.reporter.store.tables.duplicates import (
    dim_duplicate_pairs,
    fct_pair_judgements,
    fct_vector_runs,
)
from services.reporter.store.tables.library import (
    dim_images,
    fct_benchmark_changes,
    fct_double_checks,
    fct_image_flags,
    fct_label_changes,
    fct_opinions,
    fct_snapshot_progress,
    fct_snapshots,
    fct_taxonomy_changes,
    fct_uploads,
)
from services.reporter.store.tables.models import (
    dim_models,
    fct_bulk_runs,
    fct_gate_rules,
    fct_identifications,
    fct_model_scores,
    fct_train_epochs,
    fct_train_runs,
)
from services.reporter.store.tables.operations import fct_dead_letters
from services.reporter.store.tables.reports import fct_model_comparisons, fct_model_pages
from services.reporter.store.tables.searches import fct_searches
from services.reporter.store.tables.variants import fct_model_variants

__all__ = [
    "PROJECTED", "dim_duplicate_pairs", "dim_images", "dim_models", "fct_benchmark_changes",
    "fct_bulk_runs", "fct_dead_letters", "fct_double_checks", "fct_gate_rules", "fct_identifications",
    "fct_image_flags", "fct_label_changes", "fct_model_comparisons", "fct_model_pages", "fct_model_scores",
    "fct_model_variants", "fct_opinions", "fct_pair_judgements", "fct_searches", "fct_snapshot_progress",
    "fct_snapshots", "fct_taxonomy_changes", "fct_train_epochs", "fct_train_runs", "fct_uploads",
    "fct_vector_runs", "metadata",
]  # fmt: skip

PROJECTED = tuple(
    table for name, table in sorted(metadata.tables.items()) if name.startswith(("dim_", "fct_"))
)
"""The tables that events fill, and that a rebuild replaces; never the outbox or the attempts."""
