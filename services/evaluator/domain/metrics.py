"""Figures of one set, equal to scikit-learn's where it has them (tested to 1e-9).

Accuracy, F1, log loss and the tables look only at images that show one of the model's classes:
for the others there is no right answer to score. The threshold report counts them all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.evaluator.domain.answers import Answers, Floats, Ints

TOP = 3
"""Candidates that labelling and the app offer (domain.md section 1)."""
EPSILON = float(np.finfo(np.float64).eps)
"""A certain and wrong answer costs -ln(eps) = 36 instead of infinity, as in scikit-learn."""


@dataclass(frozen=True)
class ClassFigures:
    """One line of the classification report; None where the denominator is 0."""

    index: int
    images: int
    predicted: int
    correct: int
    precision: float | None
    recall: float | None
    f1: float

    @property
    def errors(self) -> int:
        """Images of the class that got another answer."""
        return self.images - self.correct


@dataclass(frozen=True)
class Cell:
    """One non-zero cell of the confusion matrix: class indices and how many images."""

    truth: int
    predicted: int
    images: int


@dataclass(frozen=True)
class SetFigures:
    """What is measured on the ``known`` images of a set; None when there are none."""

    known: int
    accuracy: float | None
    balanced_accuracy: float | None
    top_3_accuracy: float | None
    f1_macro: float | None
    log_loss: float | None
    classes: tuple[ClassFigures, ...]
    confusion: tuple[Cell, ...]


def measure(answers: Answers) -> SetFigures:
    """All figures of one set."""
    known = answers.known()
    if not len(known):
        return SetFigures(0, None, None, None, None, None, (), ())
    confusion = confusion_cells(known)
    classes = class_figures(known)
    recalls = [figures.recall for figures in classes if figures.recall is not None]
    return SetFigures(
        known=len(known),
        accuracy=float(known.correct.mean()),
        balanced_accuracy=float(np.mean(recalls)),
        top_3_accuracy=float((known.rank < TOP).mean()),
        f1_macro=float(np.mean([figures.f1 for figures in classes])),
        log_loss=log_loss(known.p_truth),
        classes=classes,
        confusion=confusion,
    )


def log_loss(p_truth: Floats) -> float:
    """Mean of -ln p(truth), natural logarithm."""
    return float(-np.log(np.clip(p_truth, EPSILON, 1.0 - EPSILON)).mean())


def confusion_cells(known: Answers) -> tuple[Cell, ...]:
    """The confusion matrix without its zeros (1,500 classes squared are 2 million), by truth, then answer."""
    pairs, counts = np.unique(np.stack([known.truth, known.predicted]), axis=1, return_counts=True)
    return tuple(
        Cell(int(truth), int(predicted), int(images))
        for truth, predicted, images in zip(pairs[0], pairs[1], counts, strict=True)
    )


def class_figures(known: Answers) -> tuple[ClassFigures, ...]:
    """The classes that are shown or answered at least once, by index."""
    size = int(max(known.truth.max(), known.predicted.max())) + 1
    shown, answered = _count(known.truth, size), _count(known.predicted, size)
    right = _count(known.truth[known.correct], size)
    return tuple(
        ClassFigures(
            index=int(index),
            images=int(shown[index]),
            predicted=int(answered[index]),
            correct=int(right[index]),
            precision=float(right[index] / answered[index]) if answered[index] else None,
            recall=float(right[index] / shown[index]) if shown[index] else None,
            f1=float(2 * right[index] / (shown[index] + answered[index])),
        )
        for index in np.flatnonzero(shown + answered)
    )


def most_confused(confusion: tuple[Cell, ...], limit: int) -> tuple[Cell, ...]:
    """Wrong pairs, most images first."""
    wrong = [cell for cell in confusion if cell.truth != cell.predicted]
    return tuple(sorted(wrong, key=lambda cell: (-cell.images, cell.truth, cell.predicted))[:limit])


def worst_labels(classes: tuple[ClassFigures, ...], limit: int) -> tuple[ClassFigures, ...]:
    """Classes with errors, most errors first, then the lower recall."""
    failing = [figures for figures in classes if figures.errors]
    return tuple(sorted(failing, key=lambda f: (-f.errors, f.recall or 0.0, f.index))[:limit])


def _count(indices: Ints, size: int) -> Ints:
    return np.bincount(indices, minlength=size)
