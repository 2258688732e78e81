"""What feeding may take of the machine; the trainer's settings map to it."""

from __future__ import annotations

import os
from dataclasses import dataclass


def usable_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
