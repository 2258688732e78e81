"""Figures that come from counting right and wrong answers: the confusion matrix and all it gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.evaluator.domain.answers import Answers, Ints
from services.evaluator.domain.metrics.intervals import Interval, f1_interval, wilson


@dataclass(frozen=True)
class ClassFigures:
    """One line of the classification report; None where the denominator is 0.

    ``roc_auc`` and ``average_precision`` are of this class against all others.
    """

    index: int
    images: int
    predicted: int
    correct: int
    precision: float | None
    recall: float | None
    f1: float
    roc_auc: float | None = None
    average_precision: float | None = None

    @property
    def errors(self) -> int:
        """Images of the class that got another answer."""
        return self.images - self.correct

    @property
    def wrongly_predicted(self) -> int:
        """Answers of this class for images of others."""
        return self.predicted - self.correct

    @property
    def recall_interval(self) -> Interval | None:
        """Wilson's interval of the recall."""
        return wilson(self.correct, self.images)

    @property
    def precision_interval(self) -> Interval | None:
        """Wilson's interval of the precision."""
        return wilson(self.correct, self.predicted)

    @property
    def f1_interval(self) -> Interval | None:
        """Interval of the F1 figure."""
        return f1_interval(self.correct, self.images + self.predicted - self.correct)


@dataclass(frozen=True)
class Cell:
    """One non-zero cell of the confusion matrix: class indices and how many images."""

    truth: int
    predicted: int
    images: int


@dataclass(frozen=True)
class Average:
    """Last lines of the classification report: a quotient without denominator counts as 0 in them."""

    precision: float
    recall: float
    f1: float


def confusion_cells(known: Answers) -> tuple[Cell, ...]:
    """The confusion matrix without its zeros (1,500 classes squared are 2 million), by truth, then answer."""
    size = int(known.predicted.max()) + 1
    keys, counts = np.unique(known.truth * size + known.predicted, return_counts=True)
    return tuple(
        Cell(int(key) // size, int(key) % size, int(images))
        for key, images in zip(keys, counts, strict=True)
    )  # fmt: skip


def class_figures(known: Answers) -> tuple[ClassFigures, ...]:
    """The classes that are shown or answered at least once, by index."""
    shown, answered, right = tally(known)
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


def tally(known: Answers) -> tuple[Ints, Ints, Ints]:
    """Per class index: images that show it, answers that name it, and where both agree."""
    size = int(max(known.truth.max(), known.predicted.max())) + 1
    of = (known.truth, known.predicted, known.truth[known.correct])
    shown, answered, right = (np.bincount(indices, minlength=size) for indices in of)
    return shown, answered, right


def macro(classes: tuple[ClassFigures, ...]) -> Average:
    """Every class that is shown or answered counts the same."""
    return _average(classes, np.ones(len(classes)))


def weighted(classes: tuple[ClassFigures, ...]) -> Average:
    """Every class counts by its images."""
    return _average(classes, np.array([line.images for line in classes], np.float64))


def balanced_accuracy(known: Answers) -> float:
    """Mean recall of the classes that are shown."""
    shown, _, right = tally(known)
    return float((right[shown > 0] / shown[shown > 0]).mean())


def f1_macro(known: Answers) -> float:
    """As ``macro(class_figures(known)).f1``, without a line per class."""
    shown, answered, right = tally(known)
    present = shown + answered > 0
    return float((2 * right[present] / (shown + answered)[present]).mean())


def matthews(known: Answers) -> float:
    """Matthews' correlation coefficient of many classes; 0 where truth or answer is one class throughout.

    Source: Gorodkin, Computational Biology and Chemistry 28 (2004), in whole numbers up to the root.
    """
    shown, answered, right = tally(known)
    images = len(known)
    covariance = images * int(right.sum()) - int(shown @ answered)
    of_truth = images**2 - int(shown @ shown)
    of_answers = images**2 - int(answered @ answered)
    if not of_truth or not of_answers:
        return 0.0
    return float(covariance / np.sqrt(float(of_truth) * float(of_answers)))


def most_confused(confusion: tuple[Cell, ...], limit: int) -> tuple[Cell, ...]:
    """Wrong pairs, most images first."""
    wrong = [cell for cell in confusion if cell.truth != cell.predicted]
    return tuple(sorted(wrong, key=lambda cell: (-cell.images, cell.truth, cell.predicted))[:limit])


def worst_labels(classes: tuple[ClassFigures, ...], limit: int) -> tuple[ClassFigures, ...]:
    """Classes whose images got other answers, most errors first, then the lower recall."""
    failing = [figures for figures in classes if figures.errors]
    return tuple(sorted(failing, key=lambda f: (-f.errors, f.recall or 0.0, f.index))[:limit])


def worst_predicted(classes: tuple[ClassFigures, ...], limit: int) -> tuple[ClassFigures, ...]:
    """Classes that images of others were called, most wrong guesses first, then the lower precision."""
    failing = [figures for figures in classes if figures.wrongly_predicted]
    return tuple(sorted(failing, key=lambda f: (-f.wrongly_predicted, f.precision or 0.0, f.index))[:limit])


def _average(classes: tuple[ClassFigures, ...], weights: np.ndarray) -> Average:
    table = np.array([(line.precision or 0.0, line.recall or 0.0, line.f1) for line in classes])
    precision, recall, f1 = np.average(table, axis=0, weights=weights)
    return Average(float(precision), float(recall), float(f1))
