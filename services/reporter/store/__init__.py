"""The reporting store: tables and views, writing, questions, rebuilding."""

from services.reporter.store.tables import metadata

__all__ = ["metadata"]
