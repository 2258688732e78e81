"""Short figures of parts of a set: per source (real, staged, synthetic) and per quality flag."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.evaluator.domain.answers import Answers, Floats
from services.evaluator.domain.metrics.counts import balanced_accuracy, f1_macro
from services.evaluator.domain.metrics.intervals import Interval, wilson
from services.evaluator.domain.metrics.losses import image_losses

NO_FLAG = "none"
"""Group of the images without any flag: what the flagged ones are compared with."""
UNKNOWN_SOURCE = "unknown"


@dataclass(frozen=True)
class GroupFigures:
    """What is measured of one part: shares and losses of its ``known`` images, None without any."""

    name: str
    images: int
    known: int
    correct: int
    accuracy: float | None
    balanced_accuracy: float | None
    f1_macro: float | None
    log_loss: float | None
    weighted_log_loss: float | None
    mean_confidence: float
    """Of all ``images``, 0..100."""

    @property
    def accuracy_interval(self) -> Interval | None:
        """Wilson's interval: parts of a set are often small."""
        return wilson(self.correct, self.known)


Parts = Mapping[str, NDArray[np.bool_]]
"""Name of a part -> mask over the rows."""


def parts_by_source(sources: Sequence[str | None]) -> Parts:
    """Every row in one part."""
    named = np.array([source or UNKNOWN_SOURCE for source in sources], np.str_)
    return {str(name): named == name for name in np.unique(named)}


def parts_by_flag(flags: Sequence[Collection[str]]) -> Parts:
    """A row is in the part of each of its flags; rows without one are in NO_FLAG."""
    rows: dict[str, list[int]] = {}
    for row, of_row in enumerate(flags):
        for flag in set(of_row) or (NO_FLAG,):
            rows.setdefault(str(flag), []).append(row)
    masks = {}
    for name in sorted(rows, key=lambda name: (name == NO_FLAG, name)):
        masks[name] = np.zeros(len(flags), np.bool_)
        masks[name][rows[name]] = True
    return masks


def group_figures(answers: Answers, parts: Parts, weighted: Floats | None = None) -> tuple[GroupFigures, ...]:
    """The parts that have rows, in their order; ``weighted`` is the weighted loss per row of ``answers``."""
    return tuple(
        _measure(name, answers.select(mask), None if weighted is None else weighted[mask])
        for name, mask in parts.items()
        if mask.any()
    )


def _measure(name: str, part: Answers, weighted: Floats | None) -> GroupFigures:
    known = part.known()
    some = len(known) > 0
    return GroupFigures(
        name=name,
        images=len(part),
        known=len(known),
        correct=int(known.correct.sum()),
        accuracy=float(known.correct.mean()) if some else None,
        balanced_accuracy=balanced_accuracy(known) if some else None,
        f1_macro=f1_macro(known) if some else None,
        log_loss=float(image_losses(known).mean()) if some else None,
        weighted_log_loss=float(np.nanmean(weighted)) if some and weighted is not None else None,
        mean_confidence=float(part.confidence.mean()),
    )
