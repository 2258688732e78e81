"""Settings of the trainer, by environment (``MENAGERIE_*``)."""

from __future__ import annotations

import os
from typing import Annotated

from pydantic import Field

from services.runtime.settings import RuntimeSettings


def usable_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class TrainerSettings(RuntimeSettings):
    """How training uses the machine."""

    training_threads: Annotated[int, Field(ge=1, le=256)] = Field(default_factory=usable_cores)
    keras_backend: str = "tensorflow"
    deaths_max_per_run: Annotated[int, Field(ge=1)] = 2
    """Children of one run that may die by themselves (out of memory, mostly) before it has failed:
    the second death says that the first was no accident."""

    def fitting_env(self) -> dict[str, str]:
        """Environment of the children: these settings, and the backend on so many threads."""
        return {
            **self.child_env(),
            "KERAS_BACKEND": self.keras_backend,
            "TF_CPP_MIN_LOG_LEVEL": "2",
            "TF_NUM_INTRAOP_THREADS": str(self.training_threads),
            "TF_NUM_INTEROP_THREADS": "2",
            "OMP_NUM_THREADS": str(self.training_threads),
        }
