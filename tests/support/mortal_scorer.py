"""The scoring child, killed at places that a plan names; run by the evaluator instead of the real one.

The environment names the PLAN, whose first line each child takes: VICTIM PLACE NUMBER, such as ``child line 2``.
VICTIM is ``child`` or ``service`` (with which the child dies); PLACE is ``rows`` (of a batch, in the file and not
yet brought to disk), ``disk`` (where they are, and the journal does not speak of them) or ``line`` (half of the
journal's line is written); NUMBER counts the child's batches. How far the matrix was when it began, each child
notes in the file STARTS.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.evaluator import job
from services.evaluator.scoring import running
from services.evaluator.scoring.journal import Journal
from services.evaluator.scoring.matrix import ScoreMatrix
from services.runtime.child import child_main


def next_death() -> tuple[str, str, int]:
    """Take the plan's first line; a victim called nobody when there is none."""
    plan = Path(os.environ["PLAN"])
    lines = plan.read_text().splitlines()
    if not lines:
        return "nobody", "", 0
    plan.write_text("\n".join(lines[1:]))
    victim, place, number = lines[0].split()
    return victim, place, int(number)


class MortalMatrix(ScoreMatrix):
    """Dies where the plan says."""

    def __init__(
        self, folder: Path, of: Mapping[str, Any], order: Sequence[int], columns: int, precision: str
    ) -> None:
        super().__init__(folder, of, order, columns, precision)
        self._victim, self._place, self._left = next_death()
        with Path(os.environ["STARTS"]).open("a") as starts:
            starts.write(f"{self.done}\n")
        self._journal = MortalJournal(self, self._journal)  # type: ignore[assignment]

    def add(self, scores: NDArray[np.floating]) -> None:
        """One batch."""
        super().add(scores)
        self._left -= 1
        self.die_at("rows")

    def die_at(self, place: str) -> None:
        """Die, if this is the place."""
        if self._victim == "nobody" or self._left or place != self._place:
            return
        os.kill(os.getppid() if self._victim == "service" else os.getpid(), signal.SIGKILL)
        signal.pause()


class MortalJournal:
    """A journal whose process dies before its line, or in the middle of it."""

    def __init__(self, matrix: MortalMatrix, journal: Journal) -> None:
        self._matrix, self._journal = matrix, journal

    def add(self, rows: int, crc: int) -> None:
        """One line."""
        self._matrix.die_at("disk")
        before = self._journal._path.stat().st_size
        self._journal.add(rows, crc)
        if self._matrix._place == "line" and not self._matrix._left:
            os.truncate(self._journal._path, before + 9)
        self._matrix.die_at("line")


if __name__ == "__main__":
    vars(running)["ScoreMatrix"] = MortalMatrix
    child_main(job.work)
