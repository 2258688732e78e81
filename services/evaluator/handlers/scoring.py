"""Has children score, in folders that outlive them, and tells how far they are."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contracts.events import ModelTrained, ScoringProgressed
from contracts.values import Value
from services.evaluator import store
from services.evaluator.scoring.specs import FOLDER, Known, Scoring, Under, folder_name
from services.evaluator.settings import EvaluatorSettings
from services.runtime.child import ChildFailed, run_child
from services.runtime.database import Database
from services.runtime.delivery import Unprocessable

DAY_S = 86_400.0
Progressed = Callable[[], Awaitable[None]]


class Children:
    """Runs the evaluator's children."""

    def __init__(self, database: Database, settings: EvaluatorSettings, log: Any) -> None:
        self._database = database
        self._settings = settings
        self._log = log

    async def scoring(self, model: ModelTrained, request_id: str, under: Under | None) -> Scoring:
        """What a child is to do; its folder has what another one, killed, left behind."""
        known = await self._database.read(lambda c: store.known_matrices(c, model.model_version))
        return Scoring(
            model=model,
            request_id=request_id,
            folder=str(self._settings.work_dir / folder_name(model, under)),
            under=under,
            known=tuple(Known(matrix=matrix, scores=scores) for matrix, scores in known),
        )

    async def run(
        self, module: str, spec: Value, scorings: Iterable[Scoring], progressed: Progressed
    ) -> dict[str, Any]:
        """What the child says in the end.

        Raises:
            Unprocessable: it cannot be done as asked.
            ChildDied: the child was killed, or ran into a fault; what it scored stays for the next.
        """
        scorings = tuple(scorings)
        await asyncio.to_thread(self._sweep)
        told_at = time.monotonic()

        async def report(progress: dict[str, Any]) -> None:
            nonlocal told_at
            await progressed()
            self._log.info("evaluation.progressed", **progress)
            is_due = time.monotonic() - told_at >= self._settings.scoring_tell_every_s
            if is_due and progress["scored"] < progress["of"]:  # the end is told with the figures
                told_at = time.monotonic()
                await self._tell(progress, scorings[0].request_id)

        try:
            return await run_child(
                module, spec.model_dump(mode="json"), report, env=self._settings.scoring_env()
            )
        except ChildFailed as error:
            await self.tidy(scorings)
            models = " and ".join(one.model.model_version for one in scorings)
            raise Unprocessable(f"model {models}: {error.message}. {error.remedy}".strip()) from error

    async def tidy(self, scorings: Iterable[Scoring]) -> None:
        """Remove what only work that is not over needs."""
        for one in scorings:
            await asyncio.to_thread(shutil.rmtree, one.folder, ignore_errors=True)

    async def _tell(self, progress: dict[str, Any], request_id: str) -> None:
        said = ScoringProgressed.model_validate({
            "request_id": request_id, "model_version": progress["model_version"], "images": progress["of"],
            "scored": progress["scored"], "images_per_s": progress["images_per_s"],
            "eta_s": progress["eta_s"], "progressed_at": datetime.now(UTC),
        })  # fmt: skip
        await self._database.run(lambda unit: unit.emit(said))

    def _sweep(self) -> None:
        """Folders of work that nobody went on with: another evaluator finished it elsewhere."""
        oldest = time.time() - self._settings.scoring_left_over_days * DAY_S
        for folder in self._settings.work_dir.glob(f"{FOLDER}*"):
            if _touched_at(folder) < oldest:
                shutil.rmtree(folder, ignore_errors=True)


def _touched_at(folder: Path) -> float:
    """When anything in it was last written, s since 1970; now for one that is just being removed."""
    try:
        return max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
    except FileNotFoundError:
        return time.time()
