"""Reads and writes of ingest's tables."""

from services.ingest.store.tables import metadata

__all__ = ["metadata"]
