"""How often the truth is among the first k answers."""

from __future__ import annotations

from dataclasses import dataclass

from services.evaluator.domain.answers import Answers
from services.evaluator.domain.metrics.intervals import Interval, wilson

OFFERED = 3
"""Candidates that labelling and the app offer (domain.md section 1)."""
KS = (1, OFFERED, 5, 10)


@dataclass(frozen=True)
class TopK:
    """Images with the truth among the first ``k``; of equal scores the lower class index comes first."""

    k: int
    right: int
    images: int

    @property
    def accuracy(self) -> float:
        """Share of the images."""
        return self.right / self.images

    @property
    def interval(self) -> Interval | None:
        """Wilson's interval of the accuracy."""
        return wilson(self.right, self.images)


def top_k(known: Answers, ks: tuple[int, ...] = KS) -> tuple[TopK, ...]:
    """One line per k."""
    return tuple(TopK(k, int((known.rank < k).sum()), len(known)) for k in ks)
