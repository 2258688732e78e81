"""The class that an image is trained as: its label's, under the taxonomy of the run."""

from __future__ import annotations

from collections.abc import Sequence

from contracts.manifests import SnapshotRow
from contracts.taxonomy import Taxonomy
from contracts.values import LabelKind
from services.trainer.domain.errors import TrainingError
from services.trainer.domain.table import Table


def trained_as(row: SnapshotRow) -> str | None:
    """The class; None for what no class is made of. Snapshots without classes train each label as one."""
    return _class(row.label_kind, row.class_name, row.label)


def classes_trained_as(snapshot: Table[SnapshotRow]) -> list[str | None]:
    """``trained_as`` of every row."""
    columns = (snapshot.column(name) for name in ("label_kind", "class_name", "label"))
    return [_class(kind, name, label) for kind, name, label in zip(*columns, strict=True)]


def _class(kind: LabelKind | None, class_name: str | None, label: str | None) -> str | None:
    return (class_name or label) if kind is LabelKind.CLASS else None


def under_version(
    rows: Sequence[SnapshotRow], taxonomy: Taxonomy, packed: int, wanted: int
) -> Table[SnapshotRow]:
    """The rows of a snapshot of version ``packed`` with their classes under version ``wanted``.

    Labels stay under the names they were packed by.

    Raises:
        TrainingError: the snapshot does not know that version.
    """
    if wanted > taxonomy.version:
        raise TrainingError(
            f"version {wanted} of the taxonomy is newer than the snapshot, which knows {taxonomy.version}",
            f"pack a new snapshot, or set taxonomy_version to {taxonomy.version} or lower",
        )
    table = Table.of(SnapshotRow, rows)
    labels, kinds = table.column("label"), table.column("label_kind")
    trained = {
        label
        for label, kind in zip(labels, kinds, strict=True)
        if label is not None and kind is LabelKind.CLASS
    }
    classes = {label: taxonomy.class_at(label, packed, wanted) for label in trained}
    renamed = [
        classes.get(label, name) for label, name in zip(labels, table.column("class_name"), strict=True)
    ]
    return table.with_columns(class_name=renamed)
