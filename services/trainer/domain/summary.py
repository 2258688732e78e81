"""What a data set holds, in counts and words, and the sentence for one that cannot be trained on."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from contracts.events import SideCounts
from contracts.manifests import ClassSummary, DatasetRow, DatasetSummary, RuleCount, SnapshotRow
from contracts.training import DatasetRules
from contracts.values import Side, Source
from services.trainer.domain.classes import classes_trained_as
from services.trainer.domain.errors import TrainingError
from services.trainer.domain.rules import TOLD, Rule
from services.trainer.domain.table import Table

NAMED_CLASSES = 3
"""Classes below the minimum that an error names, the fullest first."""


def classes_of(rows: Sequence[DatasetRow]) -> tuple[str, ...]:
    """Names of the trained classes in the order of their index."""
    table = Table.of(DatasetRow, rows)
    names = dict(zip(table.column("class_index"), table.column("class_name"), strict=True))
    return tuple(str(names[index]) for index in sorted(names) if index >= 0)


def counts_of(rows: Sequence[DatasetRow]) -> SideCounts:
    """Images per side."""
    return SideCounts(**_by_side(Table.of(DatasetRow, rows).column("side")))


def _by_side(sides: Iterable[Side]) -> dict[str, int]:
    counts = Counter(sides)
    return {side.value: counts[side] for side in Side}


def summarise(
    rows: Sequence[DatasetRow], snapshot_rows: Sequence[SnapshotRow], rules: DatasetRules
) -> DatasetSummary:
    """The data set ``rows``, which was built by ``rules`` out of ``snapshot_rows``."""
    dataset = Table.of(DatasetRow, rows)
    snapshot = Table.of(SnapshotRow, snapshot_rows).sorted_by("image_id")
    names = classes_trained_as(snapshot)
    sides, decided, sources = (dataset.column(name) for name in ("side", "rule", "source"))
    of_class: dict[str, Counter[tuple[Side, Rule, Source]]] = defaultdict(Counter)
    for name, side, rule, source in zip(names, sides, decided, sources, strict=True):
        if name is not None:
            of_class[name][side, Rule(rule), source] += 1
    index = {name: number for number, name in enumerate(classes_of(dataset))}
    return DatasetSummary(
        rules=rules,
        images=len(dataset),
        **_by_side(sides),
        trained_classes=len(index),
        by_rule=_told(Counter(Rule(rule) for rule in decided), list(Rule).index),
        classes=tuple(_class_summary(name, of_class[name], index, rules) for name in sorted(of_class)),
    )


def _class_summary(
    name: str, counts: Mapping[tuple[Side, Rule, Source], int], index: Mapping[str, int], rules: DatasetRules
) -> ClassSummary:
    by_source: Counter[Source] = Counter()
    by_side: Counter[Side] = Counter()
    out: Counter[Rule] = Counter()
    for (side, rule, source), images in counts.items():
        by_source[source] += images
        by_side[side] += images
        if side is Side.OUT:
            out[rule] += images
    return ClassSummary(
        class_name=name,
        class_index=index.get(name),
        **{source.value: by_source[source] for source in Source},
        **{side.value: by_side[side] for side in Side},
        left_out=_told(out, lambda rule: -out[rule]),
        needed=needed(name in index, out, rules),
    )


def _told(counts: Mapping[Rule, int], order: Callable[[Rule], int]) -> tuple[RuleCount, ...]:
    """Rules that decided something; those of the same ``order`` as they are looked at."""
    found = sorted((rule for rule in Rule if counts[rule]), key=order)
    return tuple(
        RuleCount(rule=rule.value, side=TOLD[rule].side, images=counts[rule], why=TOLD[rule].short)
        for rule in found
    )


def usable(out: Mapping[Rule, int]) -> int:
    """Of the images ``out`` of an untrained class, by rule, those that count towards the minimum."""
    return out[Rule.BELOW_MINIMUM] + out[Rule.NOTHING_TO_TRAIN]


def needed(is_trained: bool, out: Mapping[Rule, int], rules: DatasetRules) -> int:
    """Images that a class lacks to the minimum; ``out`` are its images that are left out, by rule."""
    return 0 if is_trained else max(0, rules.minimum_per_class - usable(out))


def check_trainable(rows: Sequence[DatasetRow], rules: DatasetRules, class_of: Mapping[str, str]) -> None:
    """``class_of`` has the class of each label that is trained as another one.

    Raises:
        TrainingError: fewer than two classes have enough images.
    """
    classes = classes_of(rows)
    if len(classes) >= 2:
        return
    dataset = Table.of(DatasetRow, rows)
    of_rule: dict[str, Counter[str]] = defaultdict(Counter)
    for label, rule in zip(dataset.column("label"), dataset.column("rule"), strict=True):
        of_rule[rule][class_of.get(label, label)] += 1
    undrawn, small = of_rule[Rule.NOTHING_TO_TRAIN], of_rule[Rule.BELOW_MINIMUM]
    enough = f"{rules.minimum_per_class} labelled images{' and one drawn to train' if undrawn else ''}"
    error = f"only one class, {classes[0]!r}, has {enough}" if classes else f"no class has {enough}"
    remedies = []
    if undrawn:
        remedies.append(f"add photos of other visits to {_fullest(undrawn)}, of which no visit is to train")
    if small or not undrawn:
        nearest = _fullest(small) or "no labelled image is left"
        remedies.append(f"lower rules.minimum_per_class or label more; nearest: {nearest}")
    raise TrainingError(error, "; ".join(remedies))


def _fullest(counts: Counter[str]) -> str:
    found = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:NAMED_CLASSES]
    return ", ".join(f"{name} {count}" for name, count in found)
