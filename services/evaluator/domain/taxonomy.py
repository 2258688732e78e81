"""A model's answers under the classes of any version of the taxonomy.

Scores of classes that the version merges are added up: softmax says how likely each class is, and an image
shows exactly one, so the sum is how likely the merged class is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contracts.taxonomy import Taxonomy
from contracts.values import Side
from services.evaluator.domain.answers import NO_CLASS

UNDIVIDED = " (undivided)"
"""Behind the name of a class that the version divides, where the version has another one of that name."""

Row = Mapping[str, object]


@dataclass(frozen=True)
class Fold:
    """How a model's classes become columns: ``of_class[c]`` is the column that class c is added to."""

    columns: tuple[str, ...]
    of_class: tuple[int, ...]
    undivided: tuple[str, ...] = ()
    """Columns of classes that the version divides: the model cannot tell which part it means."""

    @property
    def adds_nothing(self) -> bool:
        """Whether the columns are the classes, in their order."""
        return self.of_class == tuple(range(len(self.of_class)))

    def column_of(self) -> dict[str, int]:
        """Column by the name of a class of the version."""
        return {name: index for index, name in enumerate(self.columns) if name not in self.undivided}

    def apply(self, scores: NDArray[np.float32]) -> NDArray[np.floating]:
        """Scores [n, classes] as scores [n, columns]; sums are made in float64, class by class."""
        if self.adds_nothing:
            return scores
        of_class = np.asarray(self.of_class)
        order = np.argsort(of_class, kind="stable")
        first = np.searchsorted(of_class[order], np.arange(len(self.columns)))
        added: NDArray[np.floating] = np.add.reduceat(scores[:, order].astype(np.float64), first, axis=1)
        return added


def unfolded(classes: Sequence[str]) -> Fold:
    """The classes as the model has them."""
    return Fold(tuple(classes), tuple(range(len(classes))))


def labels_by_class(rows: Iterable[Row], classes: Sequence[str]) -> tuple[frozenset[str], ...]:
    """Labels that each class of a model was trained on, out of the rows of its data set.

    A class without a training row has the labels of its other rows, or else its own name.
    """
    trained: list[set[str]] = [set() for _ in classes]
    shown: list[set[str]] = [set() for _ in classes]
    for row in rows:
        index, label = row["class_index"], row["label"]
        if isinstance(index, int) and isinstance(label, str) and 0 <= index < len(classes):
            (trained if row["side"] == Side.TRAIN else shown)[index].add(label)
    return tuple(
        frozenset(learned or others or {name})
        for learned, others, name in zip(trained, shown, classes, strict=True)
    )


def fold_under(
    taxonomy: Taxonomy,
    version: int,
    classes: Sequence[str],
    labels: Sequence[frozenset[str]],
    packed_version: int,
) -> Fold:
    """The classes of ``version`` that a model knows; ``labels`` are under the names of ``packed_version``.

    Raises:
        LookupError: a version does not exist.
    """
    known = [{taxonomy.class_at(label, packed_version, version) for label in held} for held in labels]
    whole = {next(iter(names)) for names in known if len(names) == 1}
    divided = {name for names in known if len(names) > 1 for name in names}
    named = [
        next(iter(names)) if len(names) == 1 else _undivided(name, whole | divided)
        for name, names in zip(classes, known, strict=True)
    ]
    columns = tuple(sorted(set(named)))
    place = {name: index for index, name in enumerate(columns)}
    apart = {name for name, names in zip(named, known, strict=True) if len(names) > 1}
    return Fold(columns, tuple(place[name] for name in named), tuple(sorted(apart)))


def _undivided(name: str, taken: set[str]) -> str:
    while name in taken:
        name += UNDIVIDED
    return name


def class_under(
    taxonomy: Taxonomy, version: int, label: str | None, is_class: bool, packed_version: int
) -> str | None:
    """The class of ``version`` that a labelled image shows; None when its label is none of a class.

    Raises:
        LookupError: a version does not exist.
    """
    if label is None or not is_class:
        return None
    return taxonomy.class_at(label, packed_version, version)


def truth_under(class_name: str | None, column_of: Mapping[str, int]) -> int:
    """Column of an image's class; NO_CLASS when the model does not know it."""
    return NO_CLASS if class_name is None else column_of.get(class_name, NO_CLASS)
