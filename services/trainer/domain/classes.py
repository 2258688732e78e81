"""The class that an image is trained as: its label's, under the taxonomy of the run."""

from __future__ import annotations

from collections.abc import Sequence

from contracts.manifests import SnapshotRow
from contracts.taxonomy import Taxonomy
from contracts.values import LabelKind
from services.trainer.domain.errors import TrainingError


def trained_as(row: SnapshotRow) -> str | None:
    """The class; None for what no class is made of. Snapshots without classes train each label as one."""
    if row.label_kind is not LabelKind.CLASS:
        return None
    return row.class_name or row.label


def under_version(
    rows: Sequence[SnapshotRow], taxonomy: Taxonomy, packed: int, wanted: int
) -> list[SnapshotRow]:
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
    labels = {row.label for row in rows if row.label is not None and row.label_kind is LabelKind.CLASS}
    classes = {label: taxonomy.class_at(label, packed, wanted) for label in labels}
    return [
        row.model_copy(update={"class_name": classes[row.label]}) if row.label in classes else row
        for row in rows
    ]
