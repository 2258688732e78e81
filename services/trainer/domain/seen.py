"""What the ancestors of a model learned from: it is never tested on again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from contracts.manifests import DatasetRow
from contracts.values import ImageId, Side
from services.trainer.domain.table import Table
from services.trainer.domain.units import GROUP, Names


@dataclass(frozen=True)
class Seen:
    """Images that an ancestor trained on, or chose its weights by, each with the names it was known by.

    The names are of its group and its unit in the newest data set that it has such a side in. They count
    only while the image is not in the snapshot: there, the snapshot knows better.
    """

    trained: Mapping[ImageId, Names] = field(default_factory=dict)
    validated: Mapping[ImageId, Names] = field(default_factory=dict)


def seen_by(ancestors: Iterable[Sequence[DatasetRow]]) -> Seen:
    """What the data sets of a model's ancestors, newest first, have seen."""
    seen: dict[Side, dict[ImageId, Names]] = {Side.TRAIN: {}, Side.VALIDATION: {}}
    for ancestor in ancestors:
        rows = Table.of(DatasetRow, ancestor)
        columns = (rows.column(name) for name in ("image_id", "side", "group", "unit"))
        for image_id, side, group, unit in zip(*columns, strict=True):
            if side in seen and image_id not in seen[side]:
                seen[side][image_id] = (GROUP + group,) if unit is None else (GROUP + group, unit)
    return Seen(seen[Side.TRAIN], seen[Side.VALIDATION])
