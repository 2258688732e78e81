"""Settings of the trainer, by environment (``MENAGERIE_*``)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr

from services.runtime.cores import usable_cores
from services.runtime.settings import RuntimeSettings


class TrainerSettings(RuntimeSettings):
    """How training uses the machine."""

    training_threads: Annotated[int, Field(ge=1, le=256)] = Field(default_factory=usable_cores)
    keras_backend: str = "tensorflow"
    deaths_max_per_run: Annotated[int, Field(ge=1)] = 2
    """Children of one run that may die by themselves (out of memory, mostly) before it has failed:
    the second death says that the first was no accident. One that wrote a checkpoint does not count."""

    lease_s: Annotated[float, Field(ge=0.5)] = 20.0
    """So long after its last sign of life a trainer's run may be taken over by another trainer."""
    stop_check_s: Annotated[float, Field(gt=0)] = 1.0
    """How often a run looks whether it was cancelled."""
    stop_grace_s: Annotated[float, Field(gt=0)] = 60.0
    """A child that is told to stop does so after its step; one that has not by then is killed."""
    checkpoint_every_s: Annotated[float, Field(ge=0)] = 60.0
    """Of training lost at most when the machine fails; 0 writes one after every step."""
    checkpoint_store_every_s: Annotated[float, Field(ge=0)] = 300.0
    """The same when it is lost for good, and another goes on from the store."""
    log_part_every_s: Annotated[float, Field(gt=0)] = 5.0
    """How far the log file in the store may be behind."""

    cost_per_hour: Annotated[float, Field(ge=0)] | None = None
    """What an hour of this machine costs; None tells no cost."""
    currency: Annotated[str, Field(min_length=1, max_length=12)] = "EUR"
    training_memory_bytes: Annotated[int, Field(ge=2**28)] | None = None
    """Memory that a training child may take; None leaves it to the machine."""

    weights_folder: Path | None = None
    """Files of ImageNet weights for networks of keras.applications, where they cannot be downloaded."""

    fetch_threads: Annotated[int, Field(ge=1, le=256)] = 8
    """Reads from the store at once; this and the next three are those of fitting/feeding/limits.py."""
    shard_cache_bytes: Annotated[int, Field(ge=0)] = 50 * 2**30
    decoded_memory_bytes: Annotated[int, Field(ge=0)] = 2 * 2**30
    decoded_cache_bytes: Annotated[int, Field(ge=0)] = 16 * 2**30

    export_signing_key: SecretStr = SecretStr("")
    """Ed25519 key that signs the manifests of exports: 64 hexadecimal digits; none signs nothing."""
    compression_images_max: Annotated[int, Field(ge=1)] = 2000
    """Images that variants of a model are measured on at most: a standard error of 0.5 % at 95 %."""

    def fitting_env(self) -> dict[str, str]:
        """Environment of the children: these settings, and the backend on so many threads."""
        return {
            **self.child_env(),
            "KERAS_BACKEND": self.keras_backend,
            # It writes its list of fonts there, once.
            "MPLCONFIGDIR": str(self.work_dir / "matplotlib"),
            "TF_CPP_MIN_LOG_LEVEL": "2",
            "TF_NUM_INTRAOP_THREADS": str(self.training_threads),
            "TF_NUM_INTEROP_THREADS": "2",
            "OMP_NUM_THREADS": str(self.training_threads),
        }
