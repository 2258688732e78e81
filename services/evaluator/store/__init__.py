"""The evaluator's tables, and what is asked of them."""

from services.evaluator.store.leases import LeaseLost, release, renew, take
from services.evaluator.store.library import find_snapshot, record_operation, record_snapshot, taxonomy
from services.evaluator.store.models import find_model, known_versions, line_of, record_model
from services.evaluator.store.scorings import (
    is_compared,
    known_matrices,
    record_comparison,
    record_scoring,
    scored_at,
)
from services.evaluator.store.tables import metadata

__all__ = [
    "LeaseLost",
    "find_model",
    "find_snapshot",
    "is_compared",
    "known_matrices",
    "known_versions",
    "line_of",
    "metadata",
    "record_comparison",
    "record_model",
    "record_operation",
    "record_scoring",
    "record_snapshot",
    "release",
    "renew",
    "scored_at",
    "take",
    "taxonomy",
]
