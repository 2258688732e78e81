"""Settings of bulkid, by environment (``MENAGERIE_*``)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from services.runtime.cores import usable_cores
from services.runtime.settings import RuntimeSettings

MOST_THREADS = 8
"""More threads than this wait for each other on networks of this size."""


def _threads() -> int:
    return min(usable_cores(), MOST_THREADS)


class BulkidSettings(RuntimeSettings):
    """Numbers of bulk identification, and whether there are similarity vectors."""

    confidence_threshold_percent: Annotated[float, Field(ge=0.0, le=100.0)] = 95.0
    similarity_vectors: bool = False
    """Whether each snapshot and each exported model sets off a run of similarity vectors by itself."""
    identifying_threads: Annotated[int, Field(ge=1, le=256)] = Field(default_factory=_threads)

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
