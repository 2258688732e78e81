"""What dedup remembers. Modules of one concern each; none of them judges."""

from services.dedup.store.tables import metadata

__all__ = ["metadata"]
