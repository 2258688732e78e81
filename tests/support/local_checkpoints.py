"""Checkpoints of a run that has no store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class LocalCheckpoints:
    """The newest checkpoint as a file in ``folder``."""

    folder: Path

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self.folder / "newest.ckpt"

    def newest(self) -> Path | None:
        """See services.trainer.fitting.checkpoint.Checkpoints."""
        return self.path if self.path.exists() else None

    def save(self, write: Callable[[Path], None]) -> None:
        """See services.trainer.fitting.checkpoint.Checkpoints."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write(self.path)
