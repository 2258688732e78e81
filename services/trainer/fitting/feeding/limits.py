"""What feeding may take of the machine; the trainer's settings map to it."""

from __future__ import annotations

from dataclasses import dataclass, fields

from services.trainer.settings import TrainerSettings


@dataclass(frozen=True)
class FeedingLimits:
    """Each is a setting of the trainer under the same name."""

    fetch_threads: int = 8
    """Reads from the store at once; each holds 8 MiB at most."""
    shard_cache_bytes: int = 50 * 2**30
    """Local copies of shards, under ``<work_dir>/shards``; those in use stay, the oldest others go."""
    decoded_memory_bytes: int = 2 * 2**30
    """Decoded pixels of a run, when they all fit, and into a share of the free memory; 0 keeps none there."""
    decoded_cache_bytes: int = 16 * 2**30
    """Decoded pixels of a run that memory does not hold, in a file under ``<work_dir>``; 0 keeps none."""


def limits_of(settings: TrainerSettings) -> FeedingLimits:
    """As the trainer is set."""
    return FeedingLimits(**{field.name: getattr(settings, field.name) for field in fields(FeedingLimits)})
