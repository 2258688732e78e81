"""From the tar shards in the store to batches of pixels: what keeps the device busy."""

from services.trainer.fitting.feeding.examples import Batch, Examples, InMemory, Part
from services.trainer.fitting.feeding.feed import Feed, in_order
from services.trainer.fitting.feeding.limits import FeedingLimits, limits_of
from services.trainer.fitting.feeding.sides import open_sides

__all__ = [
    "Batch",
    "Examples",
    "Feed",
    "FeedingLimits",
    "InMemory",
    "Part",
    "in_order",
    "limits_of",
    "open_sides",
]
