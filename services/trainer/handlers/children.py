"""Starts the trainer's children, each in a scratch folder of its own."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from services.runtime.child import run_child
from services.trainer.domain.export_specs import CompressSpec, ExportSpec
from services.trainer.domain.specs import Outcome, TrainSpec
from services.trainer.settings import TrainerSettings

Report = Callable[[dict[str, Any]], Awaitable[None]]
Spec = TrainSpec | ExportSpec | CompressSpec


class NotYet(Exception):
    """What the message refers to has not arrived, or the store failed: tried again later."""


class Children:
    """Starts a child in a folder named by its work."""

    def __init__(self, settings: TrainerSettings) -> None:
        self._settings = settings

    def scratch(self, name: str) -> Path:
        """The folder of that work."""
        return self._settings.work_dir / name

    async def run(
        self,
        module: str,
        spec: Spec,
        report: Report | None = None,
        *,
        orders: asyncio.Queue[dict[str, Any]] | None = None,
        keep: bool = False,
        env: Mapping[str, str] | None = None,
    ) -> Outcome:
        """The outcome of ``python -m module`` on ``spec``.

        Unless told to ``keep`` the folder, a killed child's leftovers go first, and its own afterwards.
        What is in ``env`` goes before the settings'.

        Raises:
            NotYet: the object store failed it.
            ChildFailed, ChildDied: see run_child.
        """
        await asyncio.to_thread(_prepare, Path(spec.scratch), keep)
        try:
            answer = await run_child(
                module,
                spec.model_dump(mode="json"),
                report,
                {**self._settings.fitting_env(), **(env or {})},
                orders,
            )
        finally:
            if not keep:
                shutil.rmtree(spec.scratch, ignore_errors=True)
        outcome = Outcome.model_validate(answer)
        if outcome.fault is not None:
            raise NotYet(outcome.fault)
        return outcome


def _prepare(folder: Path, keep: bool) -> None:
    if not keep:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
