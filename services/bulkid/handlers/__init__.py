"""Handlers of bulkid's three durables."""

from services.bulkid.handlers.heard import NotYetKnown
from services.bulkid.handlers.identifying import BulkIdentifier
from services.bulkid.handlers.vectors import VectorMaker

__all__ = ["BulkIdentifier", "NotYetKnown", "VectorMaker"]
