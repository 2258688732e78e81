"""Bulkid's tables: what it heard of, its runs and what they told."""

from services.bulkid.store.heard import (
    find_model,
    find_snapshot,
    newest_model,
    newest_snapshot,
    record_model,
    record_snapshot,
)
from services.bulkid.store.identifications import (
    Run,
    complete_run,
    find_run,
    open_run,
    pages_told,
    record_pages,
)
from services.bulkid.store.tables import metadata
from services.bulkid.store.vectors import (
    OthersWereFaster,
    VectorRun,
    complete_vector_run,
    find_vector_run,
    images_with_vector,
    known_dimensions,
    open_vector_run,
)

__all__ = [
    "OthersWereFaster",
    "Run",
    "VectorRun",
    "complete_run",
    "complete_vector_run",
    "find_model",
    "find_run",
    "find_snapshot",
    "find_vector_run",
    "images_with_vector",
    "known_dimensions",
    "metadata",
    "newest_model",
    "newest_snapshot",
    "open_run",
    "open_vector_run",
    "pages_told",
    "record_model",
    "record_pages",
    "record_snapshot",
]
