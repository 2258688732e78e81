"""All figures of one set together.

They look only at images that show one of the model's classes: for the others there is no right answer to
score. The threshold report counts them all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from services.evaluator.domain.answers import Answers, Floats
from services.evaluator.domain.metrics import counts
from services.evaluator.domain.metrics.calibration import Bin, expected_calibration_error, reliability
from services.evaluator.domain.metrics.counts import Average, Cell, ClassFigures
from services.evaluator.domain.metrics.groups import GroupFigures
from services.evaluator.domain.metrics.intervals import Interval, loss_interval, wilson
from services.evaluator.domain.metrics.losses import image_losses
from services.evaluator.domain.metrics.ranking import Ranking
from services.evaluator.domain.metrics.topk import OFFERED, TopK, top_k


@dataclass(frozen=True)
class SetFigures:
    """What is measured on the ``known`` images of a set; None and empty when there are none.

    ``roc_auc_*`` and ``average_precision_*`` need the score matrix, ``weighted_*`` the table of pairs too.
    """

    known: int = 0
    correct: int = 0
    accuracy: float | None = None
    balanced_accuracy: float | None = None
    top: tuple[TopK, ...] = ()
    macro: Average | None = None
    weighted: Average | None = None
    matthews: float | None = None
    log_loss: float | None = None
    log_loss_interval: Interval | None = None
    weighted_log_loss: float | None = None
    weighted_log_loss_interval: Interval | None = None
    roc_auc_macro: float | None = None
    roc_auc_weighted: float | None = None
    average_precision_macro: float | None = None
    average_precision_weighted: float | None = None
    calibration_error: float | None = None
    reliability: tuple[Bin, ...] = ()
    classes: tuple[ClassFigures, ...] = ()
    confusion: tuple[Cell, ...] = ()
    sources: tuple[GroupFigures, ...] = ()
    flags: tuple[GroupFigures, ...] = ()

    @property
    def accuracy_interval(self) -> Interval | None:
        """Wilson's interval of the accuracy."""
        return wilson(self.correct, self.known)

    @property
    def f1_macro(self) -> float | None:
        """Mean F1 of the classes that are shown or answered."""
        return self.macro.f1 if self.macro else None

    @property
    def f1_weighted(self) -> float | None:
        """The same, each class by its images."""
        return self.weighted.f1 if self.weighted else None

    @property
    def top_3_accuracy(self) -> float | None:
        """How often the truth is among the three candidates that are offered."""
        return next((line.accuracy for line in self.top if line.k == OFFERED), None)


def measure(
    answers: Answers,
    ranking: Ranking | None = None,
    weighted: Floats | None = None,
    *,
    sources: tuple[GroupFigures, ...] = (),
    flags: tuple[GroupFigures, ...] = (),
) -> SetFigures:
    """All figures of one set; ``weighted`` is the weighted loss of each of ``answers``."""
    known = answers.known()
    if not len(known):
        return SetFigures(sources=sources, flags=flags)
    lines = counts.class_figures(known)
    curve = reliability(known)
    losses = image_losses(known)
    figures = SetFigures(
        known=len(known),
        correct=int(known.correct.sum()),
        accuracy=float(known.correct.mean()),
        balanced_accuracy=counts.balanced_accuracy(known),
        top=top_k(known),
        macro=counts.macro(lines),
        weighted=counts.weighted(lines),
        matthews=counts.matthews(known),
        log_loss=float(losses.mean()),
        log_loss_interval=loss_interval(losses),
        calibration_error=expected_calibration_error(curve),
        reliability=curve,
        classes=lines,
        confusion=counts.confusion_cells(known),
        sources=sources,
        flags=flags,
    )
    if weighted is not None:
        figures = _with_weighted(figures, weighted[~np.isnan(weighted)])
    return figures if ranking is None else _with_ranking(figures, ranking)


def _with_weighted(figures: SetFigures, losses: Floats) -> SetFigures:
    return replace(
        figures, weighted_log_loss=float(losses.mean()), weighted_log_loss_interval=loss_interval(losses)
    )


def _with_ranking(figures: SetFigures, ranking: Ranking) -> SetFigures:
    auc_macro, auc_weighted = ranking.averages(ranking.roc_auc)
    precision_macro, precision_weighted = ranking.averages(ranking.average_precision)
    return replace(
        figures,
        roc_auc_macro=auc_macro,
        roc_auc_weighted=auc_weighted,
        average_precision_macro=precision_macro,
        average_precision_weighted=precision_weighted,
        classes=tuple(
            replace(
                line,
                roc_auc=_number(ranking.roc_auc[line.index]),
                average_precision=_number(ranking.average_precision[line.index]),
            )
            for line in figures.classes
        ),
    )


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
