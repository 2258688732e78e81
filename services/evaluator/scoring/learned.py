"""What models have learned from: images that say little of them."""

from __future__ import annotations

from collections.abc import Iterable

from contracts.manifests import DATASET_COLUMNS
from contracts.values import ObjectRef
from services.evaluator.domain.comparison import learned_units
from services.runtime.objectstore import ObjectStore
from services.runtime.shards import read_manifest


def units_learned(store: ObjectStore, datasets: Iterable[ObjectRef]) -> frozenset[str]:
    """Of a model and all it was fine-tuned from; one manifest is in memory at a time.

    Raises:
        ManifestDamaged: one is unreadable.
    """
    learned: frozenset[str] = frozenset()
    for dataset in datasets:
        learned |= learned_units(read_manifest(store.get(dataset), DATASET_COLUMNS))
    return learned
