"""The order in which people look at labels again."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from services.evaluator.domain.answers import NO_CLASS, Ints
from services.evaluator.domain.queue.confident import Confident


class Suspicion(IntEnum):
    """Why an image stands where it does; the lower comes first."""

    MISLABELLED = 0
    """The model is confidently of another opinion: the label is likely wrong."""
    WRONG = 1
    """The model's answer is another one, without confidence."""
    LOW = 2
    """The answer is the label; the lower its score, the earlier."""

    @property
    def word(self) -> str:
        """As it is told."""
        return {0: "mislabelled", 1: "wrong", 2: "low-scoring"}[self.value]


@dataclass(frozen=True)
class Ranking:
    """``order`` has the positions of all labelled images, the most suspicious first."""

    order: Ints
    suspicion: NDArray[np.int8]
    """By position."""


def rank(found: Confident) -> Ranking:
    """Images off the confident joint's diagonal first, then wrong answers, then the rest; each by margin.

    Without a label there is nothing to check: such images are in no queue. Of equal images the earlier
    position comes first, so that the same scores give the same queue.
    """
    # Of equal scores the answer is the lower class.
    wrong = (found.p_other > found.p_label) | (
        (found.p_other == found.p_label) & (found.other != NO_CLASS) & (found.other < found.labels)
    )
    suspicion = np.where(wrong, Suspicion.WRONG, Suspicion.LOW).astype(np.int8)
    suspicion[found.off_diagonal] = Suspicion.MISLABELLED
    positions = np.flatnonzero(found.labels != NO_CLASS)
    order = np.lexsort((positions, found.margin[positions], suspicion[positions]))
    return Ranking(positions[order], suspicion)
