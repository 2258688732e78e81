"""What a data set holds, and the sentence for one that cannot be trained on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from contracts.commands import DatasetRules
from contracts.events import SideCounts
from contracts.manifests import DatasetRow
from contracts.values import Side
from services.trainer.domain.dataset import Rule
from services.trainer.domain.errors import TrainingError

NAMED_CLASSES = 3
"""Classes below the minimum that an error names, the fullest first."""


def classes_of(rows: Iterable[DatasetRow]) -> tuple[str, ...]:
    """Names of the trained classes in the order of their index."""
    names = {row.class_index: row.class_name for row in rows if row.class_name is not None}
    return tuple(str(names[index]) for index in sorted(names))


def counts_of(rows: Iterable[DatasetRow]) -> SideCounts:
    """Images per side."""
    counts = Counter(row.side for row in rows)
    return SideCounts(**{side.value: counts[side] for side in Side})


def check_trainable(rows: Sequence[DatasetRow], rules: DatasetRules, class_of: Mapping[str, str]) -> None:
    """``class_of`` has the class of each label that is trained as another one.

    Raises:
        TrainingError: fewer than two classes have enough images.
    """
    classes = classes_of(rows)
    if len(classes) >= 2:
        return
    labels = [str(row.label) for row in rows if row.rule == Rule.BELOW_MINIMUM]
    small = Counter(class_of.get(label, label) for label in labels)
    nearest = ", ".join(f"{label} {count}" for label, count in _fullest(small)) or "no labelled image is left"
    error = (
        f"only one class, {classes[0]!r}, has {rules.minimum_per_class} labelled images"
        if classes
        else f"no class has {rules.minimum_per_class} labelled images"
    )
    raise TrainingError(error, f"lower rules.minimum_per_class or label more; nearest: {nearest}")


def _fullest(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:NAMED_CLASSES]
