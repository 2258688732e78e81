"""Settings of bulkid, by environment (``MENAGERIE_*``)."""

from __future__ import annotations

import os
from typing import Annotated

from pydantic import Field

from services.runtime.settings import RuntimeSettings

MOST_THREADS = 8
"""More threads than this wait for each other on networks of this size."""


def usable_cores() -> int:
    """Cores this process may run on, at most MOST_THREADS."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_THREADS)


class BulkidSettings(RuntimeSettings):
    """Numbers of bulk identification, and whether there are similarity vectors."""

    confidence_threshold_percent: Annotated[float, Field(ge=0.0, le=100.0)] = 95.0
    similarity_vectors: bool = False
    """Whether each snapshot and each exported model sets off a run of similarity vectors by itself."""
    identifying_threads: Annotated[int, Field(ge=1, le=256)] = Field(default_factory=usable_cores)

    def identifying_env(self) -> dict[str, str]:
        """Environment of the child: these settings, and TensorFlow on the CPU's threads."""
        return {
            **self.child_env(),
            "KERAS_BACKEND": "tensorflow",
            "TF_CPP_MIN_LOG_LEVEL": "2",
            "TF_NUM_INTRAOP_THREADS": str(self.identifying_threads),
            "TF_NUM_INTEROP_THREADS": "2",
            "OMP_NUM_THREADS": str(self.identifying_threads),
        }
