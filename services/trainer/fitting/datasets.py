"""Snapshots and data sets out of the store, as a run takes them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from contracts.manifests import DatasetRow, SnapshotRow
from contracts.taxonomy import Taxonomy
from contracts.values import ObjectRef
from services.runtime.objectstore import ObjectStore
from services.trainer.domain.classes import under_version
from services.trainer.domain.seen import Seen, seen_by
from services.trainer.domain.table import Table
from services.trainer.fitting.manifest import read_dataset, read_snapshot, read_taxonomy


@dataclass(frozen=True)
class Packed:
    """A snapshot and the taxonomy document that came with it, of version ``version``."""

    manifest: ObjectRef
    taxonomy: ObjectRef | None
    version: int


def fetch_snapshot(store: ObjectStore, packed: Packed, wanted: int | None) -> Table[SnapshotRow]:
    """The rows, with the classes of version ``wanted`` of the taxonomy; None is the snapshot's own.

    Raises:
        TrainingError: the snapshot does not know that version.
        ManifestDamaged: the manifest or the taxonomy is not readable.
    """
    rows = read_snapshot(store.get(packed.manifest))
    if wanted is None:
        return rows
    taxonomy = Taxonomy() if packed.taxonomy is None else read_taxonomy(store.get(packed.taxonomy))
    return under_version(rows, taxonomy, packed.version, wanted)


def fetch_dataset(store: ObjectStore, manifest: ObjectRef) -> Table[DatasetRow]:
    """The rows of a data set."""
    return read_dataset(store.get(manifest))


def fetch_seen(store: ObjectStore, ancestors: Iterable[ObjectRef]) -> Seen:
    """What a model's ancestors, newest first, learned from; one manifest is in memory at a time."""
    return seen_by(fetch_dataset(store, manifest) for manifest in ancestors)
