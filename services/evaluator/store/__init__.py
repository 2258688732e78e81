"""The evaluator's tables, and what is asked of them."""

from services.evaluator.store.flags import flags_of_images, record_flags
from services.evaluator.store.leases import release, renew, take
from services.evaluator.store.library import (
    find_snapshot,
    newest_snapshots,
    record_operation,
    record_snapshot,
    taxonomy,
)
from services.evaluator.store.models import (
    find_model,
    in_production,
    known_versions,
    learned_from,
    line_of,
    record_export,
    record_model,
)
from services.evaluator.store.scorings import (
    find_scoring,
    is_compared,
    known_matrices,
    newest_scorings,
    record_comparison,
    record_scoring,
    scored_at,
    scored_versions,
)
from services.evaluator.store.tables import metadata

__all__ = [
    "find_model",
    "find_scoring",
    "find_snapshot",
    "flags_of_images",
    "in_production",
    "is_compared",
    "known_matrices",
    "known_versions",
    "learned_from",
    "line_of",
    "metadata",
    "newest_scorings",
    "newest_snapshots",
    "record_comparison",
    "record_export",
    "record_flags",
    "record_model",
    "record_operation",
    "record_scoring",
    "record_snapshot",
    "release",
    "renew",
    "scored_at",
    "scored_versions",
    "take",
    "taxonomy",
]
